package profile

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/internal/base/log"
)

// LogLevels are strongSwan's log levels by group; "DEFAULT" is for the groups
// that are not named. Nil names none.
type LogLevels map[string]int

// ParseLogLevels reads what charondebug holds, as in "tnc 3, imc 2"; nil for "".
func ParseLogLevels(text string) (LogLevels, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	known := map[string]bool{"DEFAULT": true}
	for _, g := range []string{log.DMN, log.CFG, log.IKE, log.ENC, log.NET, log.CHD, log.ESP, log.KNL, log.TLS, log.TNC, log.IMC, log.IMV, log.PTS, log.LIB} {
		known[g] = true
	}
	out := LogLevels{}
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

// imcSectionEnv tells our library in a child which section of strongswan.conf
// counts before charon (capi reads it).
const imcSectionEnv = "GOTNC_IMC_SECTION"

// imcLevelEnv tells our library in a child how much to log, over
// libimcv.debug_level (capi reads it).
const imcLevelEnv = "GOTNC_IMC_DEBUG_LEVEL"

// setLogLevels completes the log levels of a flag: those of ipsec.conf hold where
// it names none, and IMCs log as much as their groups want.
func (p *Profile) setLogLevels(flag LogLevels) {
	p.LogLevels = flag
	if flag == nil {
		var err error
		if p.LogLevels, err = ParseLogLevels(p.Swanctl.LogLevels); err != nil {
			p.Warnings = append(p.Warnings, fmt.Errorf("%s: charondebug: %w", p.Swanctl.File, err))
		}
	}
	p.imcLevel = max(p.LogLevels[log.IMC], p.LogLevels[log.PTS])
}

// Logger writes to w the lines that the levels let pass; groups that are not
// named follow verbosity, the number of -v.
func (l LogLevels) Logger(w io.Writer, verbosity int) *slog.Logger {
	if l == nil {
		return byVerbosity(w, verbosity)
	}
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

func byVerbosity(w io.Writer, verbosity int) *slog.Logger {
	switch verbosity {
	case 0:
		return log.NewWriter(w, slog.LevelWarn)
	case 1:
		return log.NewWriter(w, slog.LevelInfo)
	case 2:
		return log.NewWriter(w, log.LevelDetail)
	}
	return log.NewWriter(w, slog.LevelDebug)
}
