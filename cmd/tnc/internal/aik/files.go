package aik

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writable says why no file can be made in a folder.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".tnc-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// absent says that a file is in the way.
func absent(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return existing(path, os.ErrExist)
	}
	return nil
}

// writeNew writes a file that must not exist yet, unless replace is set.
func writeNew(path string, b []byte, mode fs.FileMode, replace bool) error {
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
