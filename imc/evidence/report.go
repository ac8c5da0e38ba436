package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Report is what a verifier would receive, and whether the TPM confirms it.
// Its JSON names are an interface for scripts.
type Report struct {
	Bank          string      `json:"bank"` // measurement algorithm: "HASH_SHA2_256"
	Locality      uint8       `json:"startup_locality"`
	Components    []Component `json:"components"`
	BootAggregate string      `json:"boot_aggregate,omitempty"`
	PCRs          []PCRRow    `json:"pcrs"`
	Matches       *bool       `json:"matches"` // nil: nothing was compared
	Difference    *Difference `json:"first_difference,omitempty"`
	Notes         []string    `json:"notes,omitempty"`

	Explained []Explanation `json:"explained,omitempty"`
}

// Component is one functional component and its evidence.
type Component struct {
	Name      string         `json:"name"`
	Log       string         `json:"log,omitempty"`
	Entries   int            `json:"entries"`
	Later     int            `json:"later_entries,omitempty"` // that came after the PCRs were read
	Templates map[string]int `json:"templates,omitempty"`
	Violation int            `json:"violations,omitempty"`
	Error     string         `json:"error,omitempty"`
	Code      LogCode        `json:"code,omitempty"`
}

// LogCode says why a log contributes nothing, or not all; "" where it is whole.
type LogCode string

// Codes of logs.
const (
	LogMissing    LogCode = "log_missing"    // the kernel offers none
	LogForbidden  LogCode = "log_forbidden"  // it may not be read
	LogUnreadable LogCode = "log_unreadable" // reading it failed
	LogMalformed  LogCode = "log_malformed"  // what it holds is no such log
	LogEmpty      LogCode = "log_empty"      // it has no entry that extends a PCR
	LogLeftOut    LogCode = "log_left_out"   // it is not wanted
)

// PCRRow is one PCR that the evidence extends.
type PCRRow struct {
	PCR      uint32 `json:"pcr"`
	Entries  int    `json:"entries"`
	Replayed string `json:"replayed"`
	TPM      string `json:"tpm,omitempty"`
	Matches  *bool  `json:"matches"`
}

// Difference is the first place where a log and the TPM, or an entry and its
// own digest, do not agree.
type Difference struct {
	PCR    uint32 `json:"pcr"`
	Log    string `json:"log"`
	Entry  int    `json:"entry,omitempty"` // counted from 1; 0: it cannot be told which
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason"`
}

// String is a sentence for people.
func (d *Difference) String() string {
	if d.Entry == 0 {
		return fmt.Sprintf("PCR %d, %s: %s", d.PCR, d.Log, d.Reason)
	}
	return fmt.Sprintf("PCR %d, entry %d of %s, %q: %s", d.PCR, d.Entry, d.Log, d.Name, d.Reason)
}

// noLog reports a missing log, which is not a failure.
const noLog = "the kernel offers no such log"

// Unread returns an error that names the first component whose log exists and could
// not be read; nil where there is none.
func (r *Report) Unread() error {
	for _, c := range r.Components {
		if c.Error != "" && c.Error != noLog {
			return fmt.Errorf("%s: %s", c.Name, c.Error)
		}
	}
	return nil
}

// unopened notes why the component's log cannot be opened.
func (c *Component) unopened(err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Code, c.Error = LogMissing, noLog
	case errors.Is(err, fs.ErrPermission):
		c.Code, c.Error = LogForbidden, "no permission: run as root"
	default:
		c.Code, c.Error = LogUnreadable, err.Error()
	}
}

// done notes that a log without an error was read, and has no entry.
func (c *Component) done() {
	switch {
	case c.Code != "" || c.Entries > 0:
	case c.Log == os.DevNull:
		c.Code = LogLeftOut
	default:
		c.Code = LogEmpty
	}
}
