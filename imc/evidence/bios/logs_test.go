package bios

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// reading is what one program reads in a log: the events of one bank and the
// values that all banks end with.
type reading struct {
	locality uint8             // from which PCR 0 started
	naive    map[string]string // "sha256": PCR 0, started from locality 0 and extended by EV_NO_ACTION too
	events   []string          // "PCR type digest…", the header of a crypto-agile log included
	pcrs     map[string]string // "sha256 4": value in hex
	refuse   string            // why the log was refused
}

var bankNames = map[pcr.Hash]string{pcr.SHA1: "sha1", pcr.SHA256: "sha256", pcr.SHA384: "sha384", pcr.SHA512: "sha512", SM3: "sm3_256"}

// ours reads a log as `tnc measure` does.
func ours(log []byte) (out reading, header *Header) {
	out.pcrs, out.naive = map[string]string{}, map[string]string{}
	banks, naive := map[pcr.Hash]*pcr.Bank{}, map[pcr.Hash]*pcr.Bank{}
	r := NewReader(bytes.NewReader(log))
	for {
		e, err := r.Next()
		if err != nil {
			if err != io.EOF {
				out.refuse = err.Error()
			}
			break
		}
		if l, ok := e.StartupLocality(); ok && len(banks) == 0 {
			out.locality = l
		}
		line := fmt.Sprintf("%d %s", e.PCR, e.Type)
		for _, d := range e.Digests {
			line += " " + hex.EncodeToString(d.Sum)
			if d.Algorithm.Size() == 0 {
				continue
			}
			if naive[d.Algorithm] == nil {
				naive[d.Algorithm] = pcr.NewBank(d.Algorithm)
			}
			if e.PCR == 0 && (e.Index > 0 || e.Extends()) {
				naive[d.Algorithm].Extend(0, d.Sum)
			}
			if !e.Extends() {
				continue
			}
			if banks[d.Algorithm] == nil {
				banks[d.Algorithm] = pcr.NewBank(d.Algorithm)
				banks[d.Algorithm].SetLocality(out.locality)
			}
			banks[d.Algorithm].Extend(e.PCR, d.Sum)
		}
		out.events = append(out.events, line)
	}
	for h, b := range banks {
		for _, p := range b.Touched().PCRs() {
			out.pcrs[bankNames[h]+" "+strconv.Itoa(p)] = hex.EncodeToString(b.Value(uint32(p)))
		}
	}
	for h, b := range naive {
		out.naive[bankNames[h]] = hex.EncodeToString(b.Value(0))
	}
	return out, r.Header()
}

var (
	yamlItem  = regexp.MustCompile(`^  PCRIndex: (\d+)$`)
	yamlField = regexp.MustCompile(`^  (EventType|Digest): "?([^"]*)"?$`)
	yamlSum   = regexp.MustCompile(`^    Digest: "([0-9a-f]*)"$`)
	yamlBank  = regexp.MustCompile(`^  (sha1|sha256|sha384|sha512|sm3_256):$`)
	yamlPCR   = regexp.MustCompile(`^    (\d+) *: 0x([0-9a-fA-F]+)$`)
)

// tpm2Eventlog reads a log with tpm2_eventlog of tpm2-tools.
func tpm2Eventlog(t *testing.T, file string) (out reading) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "tpm2_eventlog", file)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out.pcrs = map[string]string{}
	bank, digests := "", 0
	for line := range strings.Lines(stdout.String()) {
		line = strings.TrimRight(line, "\n")
		last := len(out.events) - 1
		if m := yamlItem.FindStringSubmatch(line); m != nil {
			out.events, digests = append(out.events, m[1]), 0
		} else if m := yamlField.FindStringSubmatch(line); m != nil && last >= 0 && digests == 0 {
			out.events[last] += " " + m[2]
		} else if m := yamlSum.FindStringSubmatch(line); m != nil && last >= 0 {
			out.events[last] += " " + m[1]
			digests++
		} else if m := yamlBank.FindStringSubmatch(line); m != nil {
			bank = m[1]
		} else if m := yamlPCR.FindStringSubmatch(line); m != nil {
			out.pcrs[bank+" "+m[1]] = strings.ToLower(m[2])
		}
	}
	if err != nil {
		out.refuse = strings.TrimSpace(stderr.String())
		if out.refuse == "" {
			out.refuse = err.Error()
		}
	}
	return out
}

// reference reads a log with the program of GOTNC_EVENT_LOG_REFERENCE, which prints
// a line "BANK PCR TYPE DIGEST" for every event that extends a PCR, and exits with
// an error where it refuses the log.
func reference(t *testing.T, program, file string, locality uint8) (out reading) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := exec.CommandContext(ctx, program, file).Output()
	if err != nil {
		out.refuse = err.Error()
		return out
	}
	out.pcrs = map[string]string{}
	banks := map[string]*pcr.Bank{}
	out.locality = locality
	names := map[string]pcr.Hash{}
	for h, n := range bankNames {
		names[n] = h
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 3 {
			continue // the event has no digest of the bank
		}
		require.Len(t, f, 4, s.Text())
		n, err := strconv.Atoi(f[1])
		require.NoError(t, err)
		sum, err := hex.DecodeString(f[3])
		require.NoError(t, err)
		if banks[f[0]] == nil {
			banks[f[0]] = pcr.NewBank(names[f[0]])
			banks[f[0]].SetLocality(locality)
		}
		banks[f[0]].Extend(uint32(n), sum)
		out.events = append(out.events, s.Text())
	}
	for n, b := range banks {
		for _, p := range b.Touched().PCRs() {
			out.pcrs[n+" "+strconv.Itoa(p)] = hex.EncodeToString(b.Value(uint32(p)))
		}
	}
	return out
}

// compare says in a word or two how another program's reading agrees with ours;
// fault where it reads what we do not.
func (r reading) compare(other reading, events bool) (says string, fault bool) {
	switch {
	case other.refuse != "" && r.refuse != "":
		return "both refuse", false
	case other.refuse != "":
		return "refuses", false
	case r.refuse != "":
		return "reads what we refuse", true
	}
	if events && !slices.EqualFunc(r.events, other.events, sameEvent) {
		return "other events", true
	}
	ignored := false
	for k, v := range other.pcrs {
		if bank, zero := strings.CutSuffix(k, " 0"); zero && v != r.pcrs[k] && v == r.naive[bank] {
			ignored = true // tpm2_eventlog 5.4 knows of no locality and extends by EV_NO_ACTION
			continue
		}
		if w, ok := r.pcrs[k]; ok && v != w {
			return "other PCR " + k, true
		} else if !ok && strings.Trim(v, "0") != "" && !strings.HasPrefix(k, "sm3") {
			return "PCR " + k + " is missing", true
		}
	}
	if ignored {
		return "agrees but for PCR 0: it extends that by EV_NO_ACTION", false
	}
	return "agrees", false
}

// sameEvent compares two events; types without a name in one program are left out.
func sameEvent(a, b string) bool {
	x, y := strings.Fields(strings.Replace(a, "event type 0x", "event_type_0x", 1)), strings.Fields(b)
	if len(x) < 2 || len(y) < 2 {
		return false
	}
	if !strings.HasPrefix(x[1], "EV_") || !strings.HasPrefix(y[1], "EV_") {
		y[1] = x[1]
		if n := len(y) - len(x); n > 0 && len(y) > 2+n {
			y = append(y[:2:2], y[2+n:]...)
		}
	}
	return slices.Equal(x, y)
}

// TestEventLogs reads the event logs of GOTNC_EVENT_LOGS, as a folder, and compares
// events, digests and final PCRs with tpm2_eventlog and, where
// GOTNC_EVENT_LOG_REFERENCE names a program, with that. It prints the table of
// docs/event-logs.md.
func TestEventLogs(t *testing.T) {
	folder := os.Getenv("GOTNC_EVENT_LOGS")
	if folder == "" {
		t.Skip("GOTNC_EVENT_LOGS names no folder of event logs")
	}
	if _, err := exec.LookPath("tpm2_eventlog"); err != nil {
		t.Skip("tpm2_eventlog of tpm2-tools is not installed")
	}
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	program := os.Getenv("GOTNC_EVENT_LOG_REFERENCE")
	var table strings.Builder
	table.WriteString("| log | source | version | events | banks | tpm2_eventlog | go-eventlog |\n|---|---|---|---|---|---|---|\n")
	count := map[string]int{}
	for _, f := range files {
		path := filepath.Join(folder, f.Name())
		log, err := os.ReadFile(path)
		require.NoError(t, err)
		our, header := ours(log)
		version, banks := "1.2", "sha1"
		if header != nil {
			version, banks = fmt.Sprintf("2.0 errata %d", header.Errata), ""
			for _, a := range header.Algorithms {
				banks += " " + strings.TrimSuffix(bankNames[a.Algorithm], "_256")
			}
		}
		says, fault := our.compare(tpm2Eventlog(t, path), true)
		if fault {
			t.Errorf("%s: tpm2_eventlog: %s (we: %s)", f.Name(), says, our.refuse)
		}
		other := "not run"
		if program != "" {
			if other, fault = our.compare(reference(t, program, path, our.locality), false); fault {
				t.Errorf("%s: go-eventlog: %s (we: %s)", f.Name(), other, our.refuse)
			}
		}
		source, name, _ := strings.Cut(strings.Replace(f.Name(), "+", "/", 1), "+")
		events := strconv.Itoa(len(our.events))
		if our.refuse != "" {
			events += ", then refused"
			count["refused"]++
		}
		count["tpm2_eventlog "+says]++
		count["go-eventlog "+other]++
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s | %s |\n", name, source, version, events, strings.TrimSpace(banks), says, other)
	}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range count {
			if !yield(k) {
				return
			}
		}
	}) {
		fmt.Fprintf(&table, "\n%s: %d", k, count[k])
	}
	t.Logf("%d logs\n%s", len(files), table.String())
	if out := os.Getenv("GOTNC_EVENT_LOGS_TABLE"); out != "" {
		require.NoError(t, os.WriteFile(out, []byte(table.String()+"\n"), 0o600))
	}
}
