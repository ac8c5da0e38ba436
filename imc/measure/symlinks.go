package measure

import (
	"context"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
)

// Symlinks returns the symbolic links of a directory that lead to directories,
// in the order of their names. A relative target is taken from the directory.
func (f Files) Symlinks(ctx context.Context, directory string) ([]patnc.Symlink, error) {
	return do(ctx, f, "list symlinks of", directory, true, func(r *request, n *node) ([]patnc.Symlink, error) {
		names, err := r.list(n, link)
		if err != nil {
			return nil, err
		}
		var links []patnc.Symlink
		buf := make([]byte, unix.PathMax)
		for _, name := range names {
			if err := r.ctx.Err(); err != nil {
				return nil, err
			}
			size, err := unix.Readlinkat(n.fd, name, buf)
			if err != nil {
				continue
			}
			e, err := n.lookupIn(name)
			if err != nil {
				continue
			}
			ok := e.is(unix.S_IFDIR) && r.permits(e) == nil
			e.close()
			if !ok {
				continue
			}
			target := string(buf[:size])
			if !filepath.IsAbs(target) {
				target = filepath.Join(directory, target)
			}
			links = append(links, patnc.Symlink{Path: filepath.Join(directory, name), Target: target})
		}
		return links, nil
	})
}
