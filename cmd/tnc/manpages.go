//go:build manpages

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra/doc"
)

// With the build tag manpages the program writes the manual pages to the folder
// that its argument names, and does nothing else: `make man`. They have the date of
// SOURCE_DATE_EPOCH where it is set, so that packages can be built again.
func init() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: tnc FOLDER (this program was built to write manual pages)")
		os.Exit(2)
	}
	if err := writeManPages(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "tnc:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func writeManPages(folder string) error {
	root := newRoot()
	root.DisableAutoGenTag = true
	root.InitDefaultHelpCmd()
	header := &doc.GenManHeader{Section: "1", Source: "gotnc", Manual: "User Commands"}
	if os.Getenv("SOURCE_DATE_EPOCH") == "" {
		now := time.Now()
		header.Date = &now
	}
	if err := doc.GenManTree(root, header, folder); err != nil {
		return err
	}
	pages, err := filepath.Glob("docs/man/*.md")
	if err != nil {
		return err
	}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if err := os.WriteFile(filepath.Join(folder, name), md2man.Render(bytes.TrimSpace(b)), 0o644); err != nil {
			return err
		}
	}
	b, err := os.ReadFile("include/tnccs.h")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "tnccs.h.3"), headerPage(string(b)), 0o644)
}

// headerPage makes a manual page of a header whose first comment describes it as a
// whole: that comment is the description, with its sections, and the declarations
// follow as they are.
func headerPage(header string) []byte {
	comment, declarations, _ := strings.Cut(header, "*/\n")
	var b strings.Builder
	b.WriteString(".TH TNCCS.H 3 \"\" gotnc \"C Library\"\n.SH NAME\ntnccs.h \\- a TNC client for C programs (libtnccs)\n" +
		".SH SYNOPSIS\n.nf\n#include <tnccs.h>\n\ncc $(pkg\\-config \\-\\-cflags \\-\\-libs libtnccs) program.c\n.fi\n.SH DESCRIPTION\n")
	code := false
	for _, l := range strings.Split(comment, "\n")[1:] {
		l = strings.TrimPrefix(strings.TrimPrefix(l, " *"), " ")
		if indented := strings.HasPrefix(l, "\t"); indented != code && l != "" {
			code = indented
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[code])
		}
		switch title, rest, ok := strings.Cut(l, ". "); {
		case strings.HasPrefix(l, "tnccs.h - "), strings.HasPrefix(l, "SPDX-"):
		case l == "" && !code:
			b.WriteString(".PP\n")
		case ok && !code && strings.Trim(title, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") == "":
			b.WriteString(".SH " + title + "\n" + escapeRoff(rest) + "\n")
		case !code && strings.HasPrefix(l, "STRINGS are "):
			b.WriteString(".SH STRINGS\n" + escapeRoff(l) + "\n")
		default:
			b.WriteString(escapeRoff(l) + "\n")
		}
	}
	b.WriteString(".SH DECLARATIONS\n.nf\n")
	for _, l := range strings.Split(declarations, "\n") {
		b.WriteString(escapeRoff(l) + "\n")
	}
	b.WriteString(".fi\n.SH SEE ALSO\n.BR tnc (1),\n.BR tnc_config (5)\n")
	return []byte(b.String())
}

// escapeRoff keeps what roff would take for a request or an escape.
func escapeRoff(l string) string {
	l = strings.NewReplacer("\\", "\\e", "-", "\\-", "'", "\\(aq", "\t", "        ").Replace(l)
	if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "\\(aq") {
		l = "\\&" + l
	}
	return l
}
