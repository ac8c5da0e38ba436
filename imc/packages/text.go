package packages

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// Limits of a database in text form.
const (
	maxLine  = 1 << 20 // octets
	maxLines = 20_000_000
)

// textFile reads the first of files that exists.
func textFile(parse func(context.Context, io.Reader) ([]Package, error), files ...string) func(context.Context, string) ([]Package, error) {
	return func(ctx context.Context, root string) ([]Package, error) {
		err := error(fs.ErrNotExist)
		for _, name := range files {
			f, e := openFile(filepath.Join(root, name))
			if e != nil {
				err = e
				continue
			}
			defer f.Close()
			return parse(ctx, f)
		}
		return nil, err
	}
}

// eachLine calls visit with each line, without its end.
func eachLine(ctx context.Context, r io.Reader, visit func(line string)) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for n := 0; s.Scan() && n < maxLines; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		visit(s.Text())
	}
	return s.Err()
}

// parseDpkg reads /var/lib/dpkg/status: what is "install ok installed", as
// strongSwan's dpkg-query.
func parseDpkg(ctx context.Context, r io.Reader) ([]Package, error) {
	return parseControl(ctx, r, func(status string) bool { return status == "install ok installed" })
}

// parseOpkg reads OpenWrt's: "install user installed" is installed too.
func parseOpkg(ctx context.Context, r io.Reader) ([]Package, error) {
	return parseControl(ctx, r, func(status string) bool {
		f := strings.Fields(status)
		return len(f) == 3 && f[2] == "installed"
	})
}

// parseControl reads paragraphs of Debian's control format.
func parseControl(ctx context.Context, r io.Reader, installed func(status string) bool) ([]Package, error) {
	var (
		found         list
		name, version string
		ok            bool
	)
	flush := func() {
		if ok {
			found.add(name, version)
		}
		name, version, ok = "", "", false
	}
	err := eachLine(ctx, r, func(line string) {
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
	return found.sorted(), err
}

// parseApk reads Alpine's database: paragraphs with P: name, V: version.
func parseApk(ctx context.Context, r io.Reader) ([]Package, error) {
	var (
		found         list
		name, version string
	)
	flush := func() {
		found.add(name, version)
		name, version = "", ""
	}
	err := eachLine(ctx, r, func(line string) {
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
	return found.sorted(), err
}
