package main

import (
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

// tell logs what was read from files, as charon does at its start.
func (s *setup) tell(logger *slog.Logger) {
	dmn, cfg := log.Group(logger, log.DMN), log.Group(logger, log.CFG)
	log.Infof(dmn, "Starting IKEv2 client tnc %s (%s, %s)", version, kernelName(), runtime.GOARCH)
	dir, ok := s.swanctl.Folders["x509ca"]
	if !ok {
		dir = filepath.Join(s.swanctl.Dir, "x509ca")
	}
	log.Infof(cfg, "loading ca certificates from '%s'", dir)
	for _, c := range s.roots.Certs {
		log.Infof(cfg, "loaded ca certificate %q", c.Subject.String())
	}
	file := ""
	for _, x := range s.swanctl.Secrets {
		if x.Pos.File != file {
			file = x.Pos.File
			log.Infof(cfg, "loading secrets from '%s'", file)
		}
		for _, id := range x.IDs {
			log.Infof(cfg, "loaded %s secret for %s", strings.ToUpper(x.Kind), id)
		}
	}
	log.Infof(cfg, "added configuration '%s'", s.conn.Name)
}

// kernelName is the running kernel, as in "Linux 6.1.0".
func kernelName() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
