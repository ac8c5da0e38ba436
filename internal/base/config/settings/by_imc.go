package settings

import "github.com/gotnc/gotnc/internal/base/config"

// OfIMCs returns what a setting of tnc.imc.<name> says, by the names of the IMCs.
func OfIMCs[Word ~string](t Text, c *config.Config) map[string]Word {
	imcs, words := c.View("tnc.imc"), map[string]Word{}
	for _, name := range imcs.Sections("") {
		words[name] = Word(t.At(imcs.Below(name)))
	}
	return words
}
