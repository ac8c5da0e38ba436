package measure

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/imc/pts"
)

// directory measures on all cores.
func (r *request) directory(n *node, alg pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	names, err := r.list(n, candidate)
	if err != nil || len(names) == 0 {
		return []pts.MeasuredFile{}, err
	}
	size := alg.Size()
	sums := make([]byte, len(names)*size)
	measured := make([]bool, len(names))
	cores := runtime.GOMAXPROCS(0)
	workers := min(cores, len(names))
	var (
		next  atomic.Int64
		fatal firstError
		wg    sync.WaitGroup
	)
	work := func(s *slot) {
		defer wg.Done()
		defer s.release()
		var err error
		defer func() { fatal.set(err) }()
		defer recovered(&err)
		h := &hasher{alg: alg, ahead: len(names) < cores}
		h.hash, _ = alg.New()
		for fatal.get() == nil {
			i := int(next.Add(1) - 1)
			if i >= len(names) {
				return
			}
			ferr := r.entry(n, names[i], h, sums[i*size:i*size:(i+1)*size])
			switch {
			case ferr == nil:
				measured[i] = true
			case r.ctx.Err() != nil:
				err = r.ctx.Err()
				return
			case errors.Is(ferr, ErrTooMuch):
				err = ferr
				return
			case !errors.Is(ferr, errNotRegular):
				r.skipped(n.path, names[i], ferr)
			}
		}
	}
	for i := range workers {
		s, err := r.acquire(i > 0)
		if err != nil {
			return nil, err
		}
		if s == nil {
			break
		}
		wg.Add(1)
		go work(s)
	}
	wg.Wait()
	if err := fatal.get(); err != nil {
		return nil, err
	}
	r.summary(n.path)
	files := make([]pts.MeasuredFile, 0, len(names))
	for i, name := range names {
		if measured[i] {
			files = append(files, pts.MeasuredFile{Name: name, Measurement: sums[i*size : (i+1)*size : (i+1)*size]})
		}
	}
	return files, nil
}

// entry measures one file of a directory into out, which has room for a digest.
func (r *request) entry(n *node, name string, h *hasher, out []byte) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	e, err := n.lookupIn(name)
	if err != nil {
		return err
	}
	defer e.close()
	_, err = r.digest(e, h, out)
	return err
}

// firstError keeps the first error that is set.
type firstError struct{ p atomic.Pointer[error] }

func (f *firstError) set(err error) {
	if err != nil {
		f.p.CompareAndSwap(nil, &err)
	}
}

func (f *firstError) get() error {
	if p := f.p.Load(); p != nil {
		return *p
	}
	return nil
}
