package measure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Limits of a list of packages.
const (
	maxPackages     = math.MaxUint16 // of the attribute
	maxPackageLine  = 1 << 20
	maxPackageLines = 20_000_000
)

// packageSource reads the database of one package manager below root.
type packageSource struct {
	name string
	read func(ctx context.Context, root string) ([]patnc.Package, error)
}

var (
	dpkgSource = packageSource{"dpkg", textSource(parseDpkgStatus, "var/lib/dpkg/status")}
	apkSource  = packageSource{"apk", textSource(parseApkInstalled, "lib/apk/db/installed", "usr/lib/apk/db/installed")}
	opkgSource = packageSource{"opkg", textSource(parseOpkgStatus, "usr/lib/opkg/status", "var/lib/opkg/status")}
	rpmSource  = packageSource{"rpm", readRPM}
)

// packageSources returns the databases in the order in which they are asked: a
// system of the Red Hat family may have an empty dpkg beside its rpm.
func packageSources(osName string) []packageSource {
	name := strings.ToLower(strings.Trim(osName, `"`))
	for _, family := range [...]string{"fedora", "rhel", "red hat", "redhat", "centos", "rocky", "almalinux", "ol", "amzn", "suse", "sles", "sled", "opensuse", "mageia", "openeuler"} {
		if name == family || strings.HasPrefix(name, family+"-") || strings.HasPrefix(name, family+" ") {
			return []packageSource{rpmSource, dpkgSource, apkSource, opkgSource}
		}
	}
	return []packageSource{dpkgSource, apkSource, opkgSource, rpmSource}
}

// packages lists what the first package manager that has anything installed has
// installed. strongSwan asks dpkg alone, with names and versions as here.
func (p *Platform) packages(ctx context.Context) ([]patnc.Package, error) {
	name := ""
	if info, err := p.os(); err == nil {
		name = info.name
	}
	found := false
	for _, s := range packageSources(name) {
		list, err := s.read(ctx, p.cfg.Root)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("installed packages: %w", ctx.Err())
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		case err != nil:
			log.Group(p.cfg.Logger, log.IMC).Warn(fmt.Sprintf("reading the packages of %s failed: %v", s.name, err))
		case len(list) > 0:
			return list, nil
		default:
			found = true
		}
	}
	if found {
		return nil, nil
	}
	return nil, fmt.Errorf("installed packages: %w", ErrUnknown)
}

// textSource reads the first of files that exists.
func textSource(parse func(context.Context, io.Reader) ([]patnc.Package, error), files ...string) func(context.Context, string) ([]patnc.Package, error) {
	return func(ctx context.Context, root string) ([]patnc.Package, error) {
		err := fs.ErrNotExist
		for _, name := range files {
			var fd int
			if fd, err = openFile(filepath.Join(root, name)); err != nil {
				continue
			}
			f := os.NewFile(uintptr(fd), name)
			defer f.Close()
			return parse(ctx, f)
		}
		return nil, err
	}
}

// packageList collects packages up to the limit of the attribute.
type packageList []patnc.Package

func (l *packageList) add(name, version string) {
	if name != "" && len(*l) < maxPackages && strings.IndexByte(name, 0) < 0 && strings.IndexByte(version, 0) < 0 {
		*l = append(*l, patnc.Package{Name: cut(name, math.MaxUint8), Version: cut(version, math.MaxUint8)})
	}
}

// sorted has the order of dpkg-query, that of names.
func (l packageList) sorted() []patnc.Package {
	slices.SortStableFunc(l, func(a, b patnc.Package) int { return strings.Compare(a.Name, b.Name) })
	return l
}

// lines hands each line to take, without its end.
func lines(ctx context.Context, r io.Reader, take func(line string)) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxPackageLine)
	for n := 0; s.Scan() && n < maxPackageLines; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		take(s.Text())
	}
	return s.Err()
}

// parseDpkgStatus reads /var/lib/dpkg/status: what is "install ok installed", as
// strongSwan's dpkg-query.
func parseDpkgStatus(ctx context.Context, r io.Reader) ([]patnc.Package, error) {
	return parseControl(ctx, r, func(status string) bool { return status == "install ok installed" })
}

// parseOpkgStatus reads OpenWrt's: "install user installed" is installed too.
func parseOpkgStatus(ctx context.Context, r io.Reader) ([]patnc.Package, error) {
	return parseControl(ctx, r, func(status string) bool {
		f := strings.Fields(status)
		return len(f) == 3 && f[2] == "installed"
	})
}

// parseControl reads paragraphs of Debian's control format.
func parseControl(ctx context.Context, r io.Reader, installed func(status string) bool) ([]patnc.Package, error) {
	var (
		list          packageList
		name, version string
		ok            bool
	)
	flush := func() {
		if ok {
			list.add(name, version)
		}
		name, version, ok = "", "", false
	}
	err := lines(ctx, r, func(line string) {
		if line == "" {
			flush()
			return
		}
		key, value, found := strings.Cut(line, ":")
		if !found {
			return
		}
		switch value = strings.TrimSpace(value); key {
		case "Package":
			name = value
		case "Version":
			version = value
		case "Status":
			ok = installed(value)
		}
	})
	flush()
	return list.sorted(), err
}

// parseApkInstalled reads Alpine's database: paragraphs with P: name, V: version.
func parseApkInstalled(ctx context.Context, r io.Reader) ([]patnc.Package, error) {
	var (
		list          packageList
		name, version string
	)
	flush := func() {
		list.add(name, version)
		name, version = "", ""
	}
	err := lines(ctx, r, func(line string) {
		switch {
		case line == "":
			flush()
		case strings.HasPrefix(line, "P:"):
			name = line[2:]
		case strings.HasPrefix(line, "V:"):
			version = line[2:]
		}
	})
	flush()
	return list.sorted(), err
}
