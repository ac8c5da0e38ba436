package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// What each peer needs beside the folder that internal/interop/peers.sh unpacks
// its package in.
var peers = map[string]image{
	"Libreswan": {programs: []string{"/usr/bin/certutil", "/usr/bin/pk12util"}, libraries: []string{
		"/usr/lib/*/libsoftokn3.so", "/usr/lib/*/libfreeblpriv3.so", "/usr/lib/*/libfreebl3.so", "/usr/lib/*/libnssdbm3.so", "/usr/lib/*/libnssckbi.so",
		"/usr/lib/*/nss/*.so", "/usr/lib/*/libnss_files.so.2"}},
	"OpenIKED": {libraries: []string{"/usr/lib/*/ossl-modules/*.so"}},
}

var cellLine = regexp.MustCompile(`(?m)^CELL\|([^|]*)\|([^|]*)\|(.*?)\r?$`)

// unpacked is the folder of a peer's package, as peers.sh vm leaves it.
func unpacked(t *testing.T, peer string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("../../../build/peers", strings.ToLower(peer)))
	require.NoError(t, err)
	need.Program(t, filepath.Join(dir, map[string]string{"Libreswan": "usr/libexec/ipsec/pluto", "OpenIKED": "usr/sbin/iked"}[peer]), strings.ToLower(peer))
	return dir
}

// tnc against libreswan and OpenIKED, each in a machine of its own.
func TestPeers(t *testing.T) {
	if os.Getenv("GOTNC_VMTEST") == "" {
		t.Skip("SKIP needs a virtual machine: run `make vmtest`")
	}
	need.Program(t, "nft", "nftables")
	vmlinuz := netKernel(t)
	table := map[[2]string]string{}
	var rows []string
	for peer, i := range peers {
		t.Run(peer, func(t *testing.T) {
			i.roots, i.folder, i.run = []string{unpacked(t, peer)}, "peers", "^Test"+peer+"$"
			i.env = []string{"GOTNC_PEERS=" + os.Getenv("GOTNC_PEERS"), "GOTNC_ESPINTCP=" + espInTCP(vmlinuz)}
			start := time.Now()
			out, accel := boot(t, vmlinuz, testRoot(t, vmlinuz, i), []string{"--tpm2"})
			t.Logf("%s in %v", accel, time.Since(start).Round(time.Second))
			for _, m := range cellLine.FindAllStringSubmatch(out, -1) {
				t.Logf("%-42s %s", m[2], m[3])
				table[[2]string{peer, m[2]}] = m[3]
				if !slices.Contains(rows, m[2]) {
					rows = append(rows, m[2])
				}
			}
			if !strings.Contains(out, "VM PASS") {
				t.Errorf("%s", out)
			}
		})
	}
	fmt.Print(markdown(rows, table))
	if os.Getenv("GOTNC_PEERS") == "" && !t.Failed() {
		compareWithDoc(t, rows, table)
	}
}

// peersDoc has the table.
const peersDoc = "../../../docs/peers.md"

var docTable = regexp.MustCompile(`(?m)^\| \| libreswan.*\n(?:\|.*\n)+`)

// compareWithDoc holds the table that was printed against that of docs/peers.md, but
// for cells that this kernel has nothing for and gateways that were not run; -update
// writes it.
func compareWithDoc(t *testing.T, rows []string, cells map[[2]string]string) {
	t.Helper()
	b, err := os.ReadFile(peersDoc)
	require.NoError(t, err)
	text := string(b)
	have := docTable.FindString(text)
	require.NotEmpty(t, have, "docs/peers.md has no table")
	keepDocumented(cells, docCells(have))
	if want := markdown(rows, cells); *update {
		require.NoError(t, os.WriteFile(peersDoc, []byte(strings.Replace(text, have, want, 1)), 0o644))
	} else {
		require.Equal(t, have, want, "docs/peers.md: -update writes it")
	}
}

// keepDocumented takes from the page the cells that this run has nothing for.
func keepDocumented(cells, documented map[[2]string]string) {
	for key, c := range documented {
		if now := cells[key]; now == "" || strings.HasPrefix(now, "not run:") {
			cells[key] = c
		}
	}
}

// A run of one gateway keeps the column of the other.
func TestKeepDocumented(t *testing.T) {
	cells := map[[2]string]string{{"OpenIKED", "a"}: "now", {"OpenIKED", "b"}: "not run: this kernel has no NAT"}
	keepDocumented(cells, map[[2]string]string{{"OpenIKED", "a"}: "old", {"OpenIKED", "b"}: "old", {"Libreswan", "a"}: "old"})
	require.Equal(t, map[[2]string]string{{"OpenIKED", "a"}: "now", {"OpenIKED", "b"}: "old", {"Libreswan", "a"}: "old"}, cells)
}

// docCells are the cells of a table in Markdown.
func docCells(table string) map[[2]string]string {
	cells := map[[2]string]string{}
	for l := range strings.Lines(table) {
		f := strings.Split(strings.TrimSpace(l), " | ")
		if len(f) == 3 && strings.HasPrefix(f[0], "| ") {
			row := strings.TrimPrefix(f[0], "| ")
			cells[[2]string{"Libreswan", row}], cells[[2]string{"OpenIKED", row}] = f[1], strings.TrimSuffix(f[2], " |")
		}
	}
	return cells
}

// The table of docs/peers.md is one that TestPeers prints: each row that there is, with
// a cell for each gateway.
func TestPeersDoc(t *testing.T) {
	b, err := os.ReadFile(peersDoc)
	require.NoError(t, err)
	table := docTable.FindString(string(b))
	cells := docCells(table)
	source, err := os.ReadFile("../peers/matrix_test.go")
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^\trow\w+ += "(.*)"$`).FindAllStringSubmatch(string(source), -1)
	require.NotEmpty(t, found)
	for _, m := range found {
		require.NotEmpty(t, cells[[2]string{"Libreswan", m[1]}], m[1])
		require.NotEmpty(t, cells[[2]string{"OpenIKED", m[1]}], m[1])
	}
	require.Len(t, cells, 2*len(found), "rows that are not run")
	var rows []string
	for l := range strings.Lines(table) {
		if row, _, _ := strings.Cut(strings.TrimPrefix(l, "| "), " | "); cells[[2]string{"Libreswan", row}] != "" {
			rows = append(rows, row)
		}
	}
	require.Equal(t, table, markdown(rows, cells))
}

// markdown is the table of docs/peers.md.
func markdown(rows []string, cells map[[2]string]string) string {
	var b strings.Builder
	b.WriteString("| | libreswan 4.10 | OpenIKED 7.2 |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r, cells[[2]string{"Libreswan", r}], cells[[2]string{"OpenIKED", r}])
	}
	return b.String()
}

// espInTCP is "yes" where the kernel is known to have ESP in TCP.
func espInTCP(vmlinuz string) string {
	if _, err := os.Stat(modulesOf(vmlinuz)); err != nil && isUML(vmlinuz) {
		return "yes"
	}
	return ""
}
