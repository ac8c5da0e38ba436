package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gotnc/gotnc/internal/base/config"
)

// readStrongswan reads strongswan.conf: the file of --strongswan-conf, or with
// "" the default one.
func readStrongswan(file string) (cfg *config.Config, err error) {
	if file != "" {
		cfg, err = config.Load(file)
	} else {
		cfg, err = config.LoadDefault()
	}
	if err != nil {
		return nil, unread("strongswan.conf", err, "name another one with --strongswan-conf")
	}
	return cfg, nil
}

// unread is the error of a configuration file, what, that could not be read:
// where it is wrong, or what to do where it cannot be opened; missing is the
// advice for a file that is not there.
func unread(what string, err error, missing string) error {
	if at := new(config.Error); errors.As(err, &at) {
		return fmt.Errorf("read %s: %w", what, at) // with file and line
	}
	path := new(fs.PathError)
	if !errors.As(err, &path) {
		return fmt.Errorf("read %s: %w", what, err)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w: %s", what, path, missing)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("read %s: %w: run as root, or as a user who may read it", what, path)
	}
	return fmt.Errorf("read %s: %w", what, path)
}
