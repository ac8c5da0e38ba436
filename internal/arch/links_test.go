package arch

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// demo is the one package of a shipped program that may link what is for tests.
const demo = "cmd/tnc/internal/demo"

// links finds packages for tests in the shipped programs: certificates and gateways
// for tests, fault injection, doubles. cmd/tnc links them through the demo only, the
// C libraries never.
func links(t *tree) (out []violation) {
	for _, program := range []string{"cmd/tnc", "capi/attestation", "capi/tnccs"} {
		for _, p := range reachable(t, program) {
			if p != demo && isTestSupport(p) {
				out = append(out, violation{key: program + " links " + p})
			}
		}
	}
	return out
}

// reachable returns what a program links, but for what cmd/tnc's demo alone links.
func reachable(t *tree, program string) (out []string) {
	todo := []string{program}
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		if slices.Contains(out, p) {
			continue
		}
		out = append(out, p)
		if n := t.find(p); n != nil && !(p == demo && program == "cmd/tnc") {
			todo = append(todo, n.imports...)
		}
	}
	slices.Sort(out)
	return out
}

func TestLinks(t *testing.T) {
	tr := sources(t,
		[2]string{"internal/testpki/t.go", "package testpki"},
		[2]string{"internal/gateway/g.go", `package gateway; import _ "github.com/gotnc/gotnc/internal/testpki"`},
		[2]string{"tpm/tpmtest/t.go", "package tpmtest"},
		[2]string{"ike/ike.go", `package ike; import _ "github.com/gotnc/gotnc/tpm/tpmtest"`},
		[2]string{"cmd/tnc/internal/demo/d.go", `package demo; import _ "github.com/gotnc/gotnc/internal/gateway"`},
		[2]string{"cmd/tnc/main.go", `package main; import (
			_ "github.com/gotnc/gotnc/cmd/tnc/internal/demo"
			_ "github.com/gotnc/gotnc/ike")`},
		[2]string{"capi/tnccs/t.go", `package main; import _ "github.com/gotnc/gotnc/cmd/tnc/internal/demo"`},
		[2]string{"capi/attestation/a.go", `package main`})
	require.ElementsMatch(t, []string{"cmd/tnc links tpm/tpmtest", "capi/tnccs links internal/gateway", "capi/tnccs links internal/testpki"}, keys(links(tr)))
}
