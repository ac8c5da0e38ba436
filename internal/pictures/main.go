// Command pictures draws the SVG of each text in docs/pictures: `make pictures`. A test
// compares them. The texts have one element a line; what follows the numbers is text
// whose lines "|" separates.
//
//	size WIDTH HEIGHT            of the picture, first
//	title TEXT                   what the picture shows, for who cannot see it
//	zone X Y W H TEXT            an area with a caption
//	box NAME KIND X Y W H TEXT   KIND is plain, key or good; the first line is bold
//	note X Y TEXT                text that begins there
//	arrow FROM TO TEXT           FROM and TO are NAME.SIDE or NAME.SIDE.PERCENT, SIDE is
//	                             l, r, t or b; "both" before FROM draws two heads
//	lane NAME X TEXT             who takes part in an exchange over time
//	phase TEXT                   a caption across all lanes
//	send FROM TO TEXT            a message between two lanes, below what came before
//	think NAME TEXT              what a lane does meanwhile
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	sources, err := filepath.Glob("docs/pictures/*.txt")
	if err == nil && len(sources) == 0 {
		err = fmt.Errorf("no docs/pictures/*.txt here: run it in the module's root")
	}
	for _, source := range sources {
		if err == nil {
			err = draw(source)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// target is the file that a source is drawn to.
func target(source string) string { return strings.TrimSuffix(source, ".txt") + ".svg" }

func draw(source string) error {
	b, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	svg, err := render(string(b))
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return os.WriteFile(target(source), []byte(svg), 0o644)
}
