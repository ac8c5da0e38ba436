package packages

import (
	"math"
	"slices"
	"strings"
)

// maxPackages bounds a list, to what the PA-TNC attribute Installed Packages
// holds.
const maxPackages = math.MaxUint16

// list collects packages, at most maxPackages.
type list []Package

func (l *list) add(name, version string) {
	if name != "" && len(*l) < maxPackages && strings.IndexByte(name, 0) < 0 && strings.IndexByte(version, 0) < 0 {
		*l = append(*l, Package{Name: clip(name), Version: clip(version)})
	}
}

// sorted returns the packages in the order of dpkg-query, that of names.
func (l list) sorted() []Package {
	slices.SortStableFunc(l, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return l
}

// clip returns at most the 255 octets of s that Installed Packages holds.
func clip(s string) string { return s[:min(len(s), math.MaxUint8)] }
