package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

// logLevels are strongSwan's levels by group; "DEFAULT" is for the others.
type logLevels map[string]int

// parseLevels reads what charondebug holds: "tnc 3, imc 2". Nil for "".
func parseLevels(text string) (logLevels, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	known := map[string]bool{"DEFAULT": true}
	for _, g := range []string{log.DMN, log.CFG, log.IKE, log.ENC, log.NET, log.CHD, log.ESP, log.KNL, log.TLS, log.TNC, log.IMC, log.IMV, log.PTS, log.LIB} {
		known[g] = true
	}
	out := logLevels{}
	for _, item := range strings.Split(text, ",") {
		f := strings.Fields(strings.ReplaceAll(item, "=", " "))
		if len(f) != 2 {
			return nil, fmt.Errorf("%q is not a group and a level, as in tnc 3", strings.TrimSpace(item))
		}
		n, err := strconv.Atoi(f[1])
		if err != nil || n < -1 || n > 4 {
			return nil, fmt.Errorf("level %q is not between -1 and 4", f[1])
		}
		group := strings.ToUpper(f[0])
		if !known[group] {
			return nil, fmt.Errorf("%q is not a log group", f[0])
		}
		out[group] = n
	}
	return out, nil
}

// imcLevelEnv tells our library in a child how much to log, over
// libimcv.debug_level (capi reads it).
const imcLevelEnv = "GOTNC_IMC_DEBUG_LEVEL"

// takeLevels completes the log levels: those of ipsec.conf hold where no flag
// names any, and IMCs log as much as their groups want.
func (s *setup) takeLevels(o *options) {
	if o.levels == "" && s.swanctl.LogLevels != "" {
		if _, err := parseLevels(s.swanctl.LogLevels); err != nil {
			s.warnings = append(s.warnings, fmt.Errorf("%s: charondebug: %w", s.swanctl.File, err))
			return
		}
		o.levels = s.swanctl.LogLevels
	}
	levels, err := parseLevels(o.levels)
	if err != nil {
		return // check has told
	}
	s.imcLevel = max(levels[log.IMC], levels[log.PTS])
}

// logger writes the lines that the levels let pass; groups that are not named
// follow verbosity.
func (l logLevels) logger(w io.Writer, verbosity int) *slog.Logger {
	line := log.LineFor(w)
	return slog.New(log.NewHandler(slog.LevelDebug, func(r log.Record) {
		limit, ok := l[r.Group]
		if !ok {
			if limit, ok = l["DEFAULT"]; !ok {
				limit = verbosity
			}
		}
		level := 0 // strongSwan's: 0 for what matters in any case
		switch {
		case r.Level >= slog.LevelWarn:
		case r.Level >= slog.LevelInfo:
			level = 1
		case r.Level >= log.LevelDetail:
			level = 2
		default:
			level = 3
		}
		if level <= limit {
			fmt.Fprintln(w, line(r))
		}
	}))
}

// openKeyLog makes the file, which must not exist: mode 0600 holds from the
// first octet on.
func openKeyLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the key file: %w: name one that does not exist", err)
	}
	return f, nil
}
