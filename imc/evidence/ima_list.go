package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// MaxSaved is the most octets of all saved parts of a list.
const MaxSaved = 256 << 20

// ListHash returns the algorithm of the template digests of a list file, which its
// name tells: binary_runtime_measurements_sha256, …_sha256_staged. 0 stands for SHA-1.
func ListHash(name string) pcr.Hash {
	name = filepath.Base(name)
	for suffix, h := range map[string]pcr.Hash{"_sha256": pcr.SHA256, "_sha384": pcr.SHA384, "_sha512": pcr.SHA512} {
		if strings.HasSuffix(strings.TrimSuffix(name, "_staged"), suffix) {
			return h
		}
	}
	return 0
}

// imaList is the list as a whole: the parts that the kernel exported and deleted, and
// what it still has.
type imaList struct {
	io.Reader
	live *os.File
}

// Close closes the kernel's list.
func (l *imaList) Close() error { return l.live.Close() }

// openIMA opens the list at an offset of the whole. A part that was saved before the
// kernel deleted all of it ends with entries with which the next part begins: they are
// read once.
func openIMA(cfg Config, offset int64) (*imaList, error) {
	live, err := os.Open(cfg.IMALog)
	if err != nil {
		return nil, err
	}
	var parts [][]byte
	var saved int64
	for _, name := range cfg.IMASaved {
		b, err := readPart(name, MaxSaved-saved)
		if err != nil {
			live.Close()
			return nil, err
		}
		if n := len(parts); n > 0 {
			cut := overlap(parts[n-1], bytes.NewReader(b), ListHash(cfg.IMALog))
			saved -= int64(cut)
			parts[n-1] = parts[n-1][:len(parts[n-1])-cut]
		}
		parts = append(parts, b)
		saved += int64(len(b))
	}
	if n := len(parts); n > 0 {
		cut := overlap(parts[n-1], live, ListHash(cfg.IMALog))
		saved -= int64(cut)
		parts[n-1] = parts[n-1][:len(parts[n-1])-cut]
	}
	if _, err := live.Seek(max(offset-saved, 0), io.SeekStart); err != nil {
		live.Close()
		return nil, fmt.Errorf("reading ima measurements: %w", err)
	}
	all := bytes.Join(parts, nil)
	return &imaList{io.MultiReader(bytes.NewReader(all[min(offset, saved):]), live), live}, nil
}

func readPart(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is not a regular file", name), err)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s: the saved parts hold more than %d octets", name, MaxSaved)
	}
	return b, err
}

// overlap returns how many octets at the end of a part next begins with, whole entries.
func overlap(part []byte, next io.ReadSeeker, h pcr.Hash) int {
	r := ima.NewReader(next, ima.Config{Hash: h})
	if _, err := r.Next(); err != nil {
		return 0
	}
	first := make([]byte, r.Offset())
	if _, err := next.Seek(0, io.SeekStart); err != nil {
		return 0
	}
	if _, err := io.ReadFull(next, first); err != nil {
		return 0
	}
	for at := bytes.LastIndex(part, first); at >= 0; at = bytes.LastIndex(part[:at], first) {
		if _, err := next.Seek(0, io.SeekStart); err != nil {
			return 0
		}
		head := make([]byte, len(part)-at)
		if n, _ := io.ReadFull(next, head); n == len(head) && bytes.Equal(head, part[at:]) {
			return len(head)
		}
	}
	return 0
}
