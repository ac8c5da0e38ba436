package imccheck

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// mandatory are the functions without which strongSwan does not load an IMC.
var mandatory = []string{"TNC_IMC_Initialize", "TNC_IMC_BeginHandshake", "TNC_IMC_ProvideBindFunction"}

// C libraries.
const (
	glibc = "glibc"
	musl  = "musl"
)

// object is what an ELF file says of itself.
type object struct {
	entry   dlimc.Entry
	usable  bool   // it is an IMC
	machine string // "x86_64"; 64-bit and byte order are part of it
	libc    string // glibc, musl, "" for none or another one
	exports []string
	isGo    bool
	isStub  bool
	program string // that the stub starts
}

// maxStub bounds the size of a file that may be the stub, in octets.
const maxStub = 4 << 20

// readObject reads the file of a library or program.
func (c *Config) readObject(path string) (object, error) {
	var o object
	f, err := os.Open(c.at(path))
	if err != nil {
		return o, err
	}
	defer f.Close()
	e, err := elf.NewFile(f)
	if err != nil {
		return o, err
	}
	o.machine = strings.ToLower(strings.TrimPrefix(e.Machine.String(), "EM_"))
	if e.Class == elf.ELFCLASS32 {
		o.machine += " with 32 bits"
	}
	o.libc = libcOf(e)
	if symbols, err := e.DynamicSymbols(); err == nil {
		for _, s := range symbols {
			if s.Section != elf.SHN_UNDEF {
				o.exports = append(o.exports, s.Name)
			}
		}
	}
	_, err = buildinfo.Read(f)
	o.isGo = err == nil
	if st, err := f.Stat(); err == nil && st.Size() <= maxStub && !o.isGo {
		if b, err := io.ReadAll(io.NewSectionReader(f, 0, st.Size())); err == nil {
			o.isStub = bytes.Contains(b, []byte("GOTNC_IMC_HOST="))
		}
	}
	return o, nil
}

// libcOf tells the C library by the interpreter of a program, or by what a library
// needs.
func libcOf(e *elf.File) string {
	for _, p := range e.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		b, err := io.ReadAll(p.Open())
		switch {
		case err != nil:
		case bytes.Contains(b, []byte("ld-musl-")):
			return musl
		case bytes.Contains(b, []byte("ld-linux")) || bytes.Contains(b, []byte("ld64.so")) || bytes.Contains(b, []byte("ld.so.1")):
			return glibc
		}
	}
	libs, err := e.ImportedLibraries()
	if err != nil {
		return ""
	}
	for _, l := range libs {
		switch {
		case l == "libc.so.6":
			return glibc
		case l == "libc.so" || strings.HasPrefix(l, "libc.musl-"):
			return musl
		}
	}
	return ""
}

// missing returns the functions that an IMC must have and this one lacks.
func (o *object) missing() (names []string) {
	for _, n := range mandatory {
		if !slices.Contains(o.exports, n) {
			names = append(names, n)
		}
	}
	return names
}

// mismatch returns why a program cannot open a library, and what to do; "" where
// nothing is against it.
func (o *object) mismatch(program *object) (why, remedy string) {
	switch {
	case o.machine != program.machine:
		return fmt.Sprintf("it is for %s, and the program for %s", o.machine, program.machine), "install the package of the program's architecture"
	case program.libc == musl && o.isGo:
		return "it holds a Go runtime, which musl cannot open", "name imc-attestation-stub.so in its place"
	case program.libc == musl && o.libc == glibc && !o.isStub:
		return "it is linked against glibc, and the program against musl", "install a library that was built on this system"
	case program.libc == glibc && o.libc == musl:
		return "it is linked against musl, and the program against glibc", "install a library that was built on this system"
	}
	return "", ""
}
