package main

import (
	"errors"
	"os"
	"path/filepath"
)

// helperName is the program that holds an IMC in a process of its own.
const helperName = "tnc"

var errNoHelper = errors.New("the program tnc, which holds the IMCs, is neither beside libtnccs nor in a bin folder near it: " +
	"install it there, name it in opts->helper, or set opts->imc_mode to TNCCS_IMC_IN_PROCESS")

// findHelper looks for the helper where an installation has it: library is the
// path of libtnccs. PATH is not searched, since what is found there runs with
// the rights of the program.
func findHelper(library string) (string, error) {
	var dirs []string
	if filepath.IsAbs(library) {
		dir := filepath.Dir(library)
		dirs = []string{dir, filepath.Join(dir, "../bin"), filepath.Join(dir, "../../bin")}
	}
	for _, dir := range append(dirs, "/usr/local/bin", "/usr/bin") {
		p := filepath.Join(dir, helperName)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", errNoHelper
}
