package log

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestJournalLines(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	require.NoError(t, err)
	defer f.Close()
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(int(f.Fd()), &st))
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	l := NewWriter(f, slog.LevelDebug)
	Group(l, IKE).Error("e")
	Group(l, IKE).Warn("w")
	Group(l, KNL).Info("i")
	Group(l, NET).Debug("d")
	b, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, "<3>[IKE] e\n<4>[IKE] w\n<6>[KNL] i\n<7>[NET] d\n", string(b))

	// Another file, and what is no file, are for people.
	var plain bytes.Buffer
	Group(NewWriter(&plain, slog.LevelInfo), IKE).Info("i")
	require.Equal(t, "[IKE] i\n", plain.String())
	t.Setenv("JOURNAL_STREAM", "1:1")
	require.Equal(t, "[IKE] x", LineFor(f)(Record{Group: IKE, Text: "x"}))
}
