package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

// maxOptions is the longest file of --options and --secret-file, in octets.
const maxOptions = 64 << 10

// read completes the flags from --options and checks them.
func (o *ptTLS) read(cmd *cobra.Command, args []string) error {
	if o.optionsFile != "" {
		file := o.optionsFile
		words, err := readOptions(file)
		if err != nil {
			return err
		}
		if err := cmd.ParseFlags(words); err != nil {
			return report.UsageError("%s: %w", file, err)
		}
		if o.optionsFile != file {
			return report.UsageError("%s: it names a further file of options", file)
		}
		args = append(args, cmd.Flags().Args()...)
	}
	hosts := args
	if o.host != "" {
		hosts = append(hosts, o.host)
	}
	if len(hosts) != 1 {
		return report.UsageError("tnc pt-tls needs one server, as in: tnc pt-tls aaa.example.org --ca ca.pem")
	}
	o.host = hosts[0]
	switch strings.ToLower(o.keyType) {
	case "rsa", "ecdsa", "any":
	default:
		return report.UsageError("--key-type %s: not one of rsa, ecdsa, any", o.keyType)
	}
	switch {
	case len(o.cas)+len(o.certs) == 0:
		return report.UsageError("no CA: name the file with the CA of the server's certificate with --ca")
	case o.stay && o.mutual:
		return report.UsageError("--stay and --mutual exclude each other: where both ends measure, they take turns until the end")
	case o.secret != "" && o.secretFile != "":
		return report.UsageError("--secret and --secret-file exclude each other")
	case (o.secret != "" || o.secretFile != "") && o.client == "":
		return report.UsageError("a password needs the name that it belongs to: add --client")
	}
	o.verbose = max(o.verbose, o.debug)
	if o.quiet {
		o.verbose = 0
	}
	return nil
}

// readOptions splits a file of options into words: white space separates them,
// double quotes keep it, and # comments out the rest of the line.
func readOptions(file string) ([]string, error) {
	b, err := readSmall(file)
	if err != nil {
		return nil, report.UsageError("read options: %w", err)
	}
	defer clear(b)
	var words []string
	for n, line := range strings.Split(string(b), "\n") {
		var word strings.Builder
		in, quoted := false, false
	chars:
		for _, r := range line {
			switch {
			case quoted && r == '"':
				quoted = false
			case r == '"':
				quoted, in = true, true
			case !quoted && (r == ' ' || r == '\t' || r == '\r'):
				if in {
					words = append(words, word.String())
				}
				word.Reset()
				in = false
			case !quoted && !in && r == '#':
				break chars
			default:
				in = true
				word.WriteRune(r)
			}
		}
		if quoted {
			return nil, report.UsageError("%s:%d: a closing double quote is missing", file, n+1)
		}
		if in {
			words = append(words, word.String())
		}
	}
	return words, nil
}

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxOptions+1))
	if err == nil && len(b) > maxOptions {
		err = fmt.Errorf("%s: more than %d octets", file, maxOptions)
	}
	return b, err
}

// password returns the password, nil where there is none. It is to be zeroed.
func (o *ptTLS) password() ([]byte, error) {
	if o.secretFile == "" {
		if o.secret == "" {
			return nil, nil
		}
		return []byte(o.secret), nil
	}
	b, err := readSmall(o.secretFile)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("read the password: the first line of %s is empty", o.secretFile)
	}
	return line, nil
}

// notThere words a missing file.
func notThere(file, flag string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: there is no such file", flag, file)
	}
	return fmt.Errorf("%s %s: %w", flag, file, err)
}
