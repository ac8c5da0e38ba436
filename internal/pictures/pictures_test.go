package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each picture is what its text says, and well-formed.
func TestPicturesAreOfTheirTexts(t *testing.T) {
	sources, err := filepath.Glob("../../docs/pictures/*.txt")
	require.NoError(t, err)
	drawn, err := filepath.Glob("../../docs/pictures/*.svg")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(sources), 4)
	require.Len(t, drawn, len(sources), "a picture without a text, or a text without a picture")
	for _, source := range sources {
		b, err := os.ReadFile(source)
		require.NoError(t, err)
		want, err := render(string(b))
		require.NoError(t, err, source)
		got, err := os.ReadFile(target(source))
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%s is not of its text: make pictures", target(source))
		for d := xml.NewDecoder(strings.NewReader(want)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else {
				require.NoError(t, err, source)
			}
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	const head = "size 100 100\ntitle T\n"
	_, err := render(head + "box a plain 0 0 50 30 x\nbox b key 0 50 50 30 y|z\narrow both a.b b.t.20 w\n")
	require.NoError(t, err)
	for _, text := range []string{
		"", "size 1 1\n", "title T\n", head + "circle 1 1 1\n", head + "size 1\n", head + "box a plain 0 0 50 x\n", head + "box a plain 0 0 x 1 x\n",
		head + "box a plain 0 0 50 30 much too long for it\n", head + "zone 0 0 50 30 much too long for it\n",
		head + "arrow a.b c.t\n", head + "box a plain 0 0 50 30 x\narrow a.q a.t\n", head + "box a plain 0 0 50 30 x\narrow a.b\n",
		head + "send a b c\n", head + "lane a 10 A\nsend a b c\n", head + "lane a x A\n", head + "think a b\n", head + "lane a 10 A\nsend a a\n",
	} {
		_, err := render(text)
		require.Error(t, err, "%q", text)
	}
}
