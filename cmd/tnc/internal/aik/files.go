package aik

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
)

// writable says why no file can be made in a folder.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".tnc-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Absent says that a file is in the way.
func Absent(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return existing(path, os.ErrExist)
	}
	return nil
}

// WriteNew writes a file that must not exist yet, unless replace is set.
func WriteNew(path string, b []byte, mode fs.FileMode, replace bool) error {
	if replace {
		// beside it first: what is there is not lost where the disk is full
		tmp, err := os.CreateTemp(filepath.Dir(path), ".tnc-*")
		if err != nil {
			return err
		}
		defer os.Remove(tmp.Name())
		_, err = tmp.Write(b)
		if err = errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
			return err
		}
		return os.Rename(tmp.Name(), path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return existing(path, err)
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

func existing(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: give --replace, or another --out", path)
	}
	return err
}

// absolute returns an absolute path, where there is one.
func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

// unPEM returns the content of the first PEM block, or b where it holds no PEM.
func unPEM(b []byte) []byte {
	if p, _ := pem.Decode(b); p != nil {
		return p.Bytes
	}
	return b
}

// Bounds of a folder of certificates.
const (
	maxCAFiles = 4096
	maxCADepth = 8
)

// loadCAs reads the certificates of a file or of the files in a folder and below it,
// by their usual suffixes. What is none in a folder is logged and left out.
func loadCAs(path string, logger *slog.Logger) (cas []*x509.Certificate, err error) {
	if i, err := os.Stat(path); err != nil || !i.IsDir() {
		return swanctl.LoadCertificates(path)
	}
	files := 0
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.Count(strings.TrimPrefix(name, path), "/") > maxCADepth {
			return fs.SkipDir
		}
		switch strings.ToLower(filepath.Ext(name)) {
		case ".pem", ".crt", ".cer", ".der", ".cert":
		default:
			return nil
		}
		if i, err := os.Stat(name); err != nil || !i.Mode().IsRegular() {
			return nil
		}
		if files++; files > maxCAFiles {
			return fmt.Errorf("more than %d files", maxCAFiles)
		}
		c, err := swanctl.LoadCertificates(name)
		if err != nil {
			log.Warnf(logger, "--ek-ca %s: %v", path, err)
			return nil
		}
		cas = append(cas, c...)
		return nil
	})
	if err == nil && len(cas) == 0 {
		err = errors.New("the folder has no certificates (*.pem, *.crt, *.cer, *.der)")
	}
	return cas, err
}
