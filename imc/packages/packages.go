package packages

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Package is one package that is installed.
type Package struct {
	Name, Version string // at most 255 octets, no NUL
}

// ErrNoDatabase says that no package manager has a database on the system.
var ErrNoDatabase = errors.New("no database of a package manager")

// Config says where Installed looks.
type Config struct {
	Root   string       // where the file system begins; "" means /
	System string       // name of the distribution, which says what is asked first; "" is not known
	Logger *slog.Logger // names databases that cannot be read; nil discards
}

// database reads the database of one package manager below root.
type database struct {
	name string
	read func(ctx context.Context, root string) ([]Package, error)
}

var (
	dpkg = database{"dpkg", textFile(parseDpkg, "var/lib/dpkg/status")}
	apk  = database{"apk", textFile(parseApk, "lib/apk/db/installed", "usr/lib/apk/db/installed")}
	opkg = database{"opkg", textFile(parseOpkg, "usr/lib/opkg/status", "var/lib/opkg/status")}
	rpm  = database{"rpm", readRPM}
)

// databases returns those of a system in the order in which they are asked: one
// of the Red Hat family may have an empty dpkg beside its rpm.
func databases(system string) []database {
	name := strings.ToLower(strings.Trim(system, `"`))
	for _, family := range [...]string{"fedora", "rhel", "red hat", "redhat", "centos", "rocky", "almalinux", "ol", "amzn", "suse", "sles", "sled", "opensuse", "mageia", "openeuler"} {
		if name == family || strings.HasPrefix(name, family+"-") || strings.HasPrefix(name, family+" ") {
			return []database{rpm, dpkg, apk, opkg}
		}
	}
	return []database{dpkg, apk, opkg, rpm}
}

// Installed lists, sorted by name, what the first package manager that has
// anything installed has installed: names and versions are those of dpkg-query,
// which strongSwan asks, and of rpm -qa. The list is empty where databases exist
// but hold nothing; without any the error is ErrNoDatabase. A database that cannot
// be read is logged, and the next one read. At most 65,535 packages are listed.
func Installed(ctx context.Context, cfg Config) ([]Package, error) {
	if cfg.Root == "" {
		cfg.Root = "/"
	}
	found := false
	for _, d := range databases(cfg.System) {
		installed, err := d.read(ctx, cfg.Root)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		case err != nil:
			log.Warnf(log.Group(cfg.Logger, log.IMC), "reading the packages of %s failed: %v", d.name, err)
		case len(installed) > 0:
			return installed, nil
		default:
			found = true
		}
	}
	if found {
		return nil, nil
	}
	return nil, ErrNoDatabase
}
