// Command notices prints the licences of all modules that the products contain,
// and of Go itself: `make notices`.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

var products = []string{"./cmd/tnc", "./capi/attestation", "./capi/tnccs"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run() error {
	const format = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}"
	out, err := exec.Command("go", append([]string{"list", "-deps", "-f", format}, products...)...).Output()
	if err != nil {
		return fmt.Errorf("list the modules: %w", err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find Go: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	lines = append(lines, "Go, its standard library and runtime\t"+strings.TrimSpace(string(root)))
	slices.Sort(lines)
	fmt.Println("gotnc contains the following works of others, under these licences.")
	for _, l := range slices.Compact(lines) {
		name, dir, ok := strings.Cut(l, "\t")
		if !ok {
			continue
		}
		texts, err := licences(dir)
		if err != nil {
			return err
		}
		if len(texts) == 0 {
			return fmt.Errorf("%s has no file LICENSE, COPYING or NOTICE in %s", name, dir)
		}
		fmt.Printf("\n%s\n%s\n\n%s\n", strings.Repeat("=", 78), name, bytes.TrimSpace(bytes.Join(texts, []byte("\n\n"))))
	}
	return nil
}

// licences are the texts in the root of a module.
func licences(dir string) (texts [][]byte, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, b)
	}
	return texts, nil
}
