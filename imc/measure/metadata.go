package measure

import (
	"context"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/pts"
)

// Metadata returns the metadata of the files that Measure would cover; of a
// single path whatever it leads to.
func (f Files) Metadata(ctx context.Context, name string, directory bool) ([]pts.FileMetadata, error) {
	return do(ctx, f, "read metadata of", name, directory, func(r *request, n *node) ([]pts.FileMetadata, error) {
		if !directory {
			return []pts.FileMetadata{metadata(n, path.Base(name))}, nil
		}
		names, err := r.list(n, candidate)
		if err != nil {
			return nil, err
		}
		files := make([]pts.FileMetadata, 0, len(names))
		for _, name := range names {
			if err := r.ctx.Err(); err != nil {
				return nil, err
			}
			e, err := n.lookupIn(name)
			if err == nil {
				if e.is(unix.S_IFREG) {
					if err = r.permits(e); err == nil {
						files = append(files, metadata(e, name))
					}
				}
				e.close()
			}
			if err != nil {
				r.skipped(n.path, name, err)
			}
		}
		r.summary(n.path)
		return files, nil
	})
}

// metadata follows symbolic links, as Measure does.
func metadata(n *node, reported string) pts.FileMetadata {
	st := &n.stat
	return pts.FileMetadata{
		Name:     reported,
		Type:     fileType(st.Mode),
		Size:     uint64(st.Size),
		Created:  time.Unix(st.Ctim.Unix()).Truncate(time.Second).UTC(),
		Modified: time.Unix(st.Mtim.Unix()).Truncate(time.Second).UTC(),
		Accessed: time.Unix(st.Atim.Unix()).Truncate(time.Second).UTC(),
		Owner:    uint64(st.Uid),
		Group:    uint64(st.Gid),
	}
}

func fileType(mode uint32) pts.FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return pts.FileRegular
	case unix.S_IFDIR:
		return pts.FileDirectory
	case unix.S_IFCHR:
		return pts.FileCharDevice
	case unix.S_IFBLK:
		return pts.FileBlockDevice
	case unix.S_IFIFO:
		return pts.FileFIFO
	case unix.S_IFLNK:
		return pts.FileSymlink
	case unix.S_IFSOCK:
		return pts.FileSocket
	}
	return pts.FileOther
}
