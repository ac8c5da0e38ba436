package measure

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/evidence"
)

func sample() *Outcome {
	yes, no := true, false
	sum := strings.Repeat("0a1b2c3d", 8)
	return &Outcome{
		Result: Differs, Sentence: "PCR 10, entry 4 of /ima, \"/usr/bin/<script>\": it was altered",
		TPM: &TPM{Generation: "2.0", Manufacturer: "INTC", Vendor: "<b>vendor", Revision: "1.59", Firmware: "600.7.41.0", Banks: []string{"HASH_SHA1", "HASH_SHA2_256"}},
		AIK: "certificate", quoted: "0,10",
		Report: &evidence.Report{
			Bank: "HASH_SHA2_256", Locality: 3, BootAggregate: "correct over PCR0..PCR9", Matches: &no,
			Difference: &evidence.Difference{PCR: 10, Log: "/sys/kernel/security/ima/binary_runtime_measurements", Entry: 4, Name: "/usr/bin/<script>alert(1)</script>", Reason: "the entry was altered"},
			Components: []evidence.Component{{Name: "ITA-HSR/Linux IMA", Log: "/sys/kernel/security/tpm0/binary_bios_measurements", Entries: 61}, {Name: "systemd", Entries: 3, Error: "log ends within a record"}},
			PCRs: []evidence.PCRRow{
				{PCR: 0, Entries: 5, Replayed: sum, TPM: sum, Matches: &yes}, {PCR: 11, Entries: 9, Replayed: sum, TPM: sum, Matches: &yes},
				{PCR: 10, Entries: 900, Replayed: sum, TPM: strings.Repeat("ffee", 16), Matches: &no},
			},
			Explained: []evidence.Explanation{
				{PCR: 0, By: "firmware", Entries: 5, What: []string{"EV_S_CRTM_VERSION", "Dell Inc. 1.19.0"}},
				{PCR: 4, By: "shim", Entries: 1, What: []string{"MokList"}},
				{PCR: 8, By: "GRUB", Entries: 24, What: []string{"grub_cmd: search.fs_uuid 9b1387306ebb7ff8e795e7be77563666 root", "kernel_cmdline: " + strings.Repeat("x", 240)}},
				{PCR: 11, By: "systemd-stub", Entries: 6, What: []string{".linux", ".osrel", ".cmdline"}}, {PCR: 11, By: "systemd", Entries: 3, What: []string{"phase enter-initrd"}},
				{NvPCR: "hardware", By: "systemd", Entries: 1, What: []string{"<img src=x>"}}, {PCR: 10, By: "IMA", Entries: 900, What: []string{"sha256:/usr/bin/bash\x1b[2J"}},
			},
			Notes: []string{"a note & <more>"},
		},
	}
}

// The page is one file: it loads nothing, runs nothing, and what stands in logs is text.
func TestPage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, sample().SaveHTML(file, time.Unix(0, 0)))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	page := string(b)
	for _, s := range []string{"<script", "<img", "<b>vendor", "<more>", "http://", "https://", "src=", "url(", "@import", "\x1b"} {
		require.NotContains(t, strings.ReplaceAll(page, "&lt;img src=x&gt;", ""), s)
	}
	require.Regexp(t, regexp.MustCompile(`Content-Security-Policy" content="default-src 'none'`), page)
	for _, s := range []string{"First difference", "Firmware", "Boot loader", "Kernel", "IMA", "systemd-stub", "NvPCR hardware", "systemd: 1 measurement<", "3 entries", "PCR 10", "differs",
		"as the TPM", "signed by an attestation key with certificate", "A verifier would refuse", "&lt;script&gt;alert(1)&lt;/script&gt;"} {
		require.Contains(t, page, s)
	}
	i, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, i.Mode().Perm())
	require.ErrorContains(t, sample().SaveHTML("/nonexistent/x", time.Now()), "--html")
	// Without TPM and logs there is a page too.
	var out bytes.Buffer
	none := &Outcome{Result: NoTPM, TPMError: "no device", Report: &evidence.Report{}}
	require.NoError(t, none.WriteHTML(&out, time.Now()))
	require.Contains(t, out.String(), "Nothing was compared")
	require.Contains(t, out.String(), "not signed: there is no TPM")
}

// Chromium shows the page at the width of a telephone and of a screen, with nothing
// beside its edge. GOTNC_SCREENSHOTS names a folder for pictures.
func TestPageInChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	dir := t.TempDir()
	pictures := dir
	if s := os.Getenv("GOTNC_SCREENSHOTS"); s != "" {
		pictures = s
	}
	inner := filepath.Join(dir, "page.html")
	require.NoError(t, sample().SaveHTML(inner, time.Unix(0, 0)))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	flags := []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--allow-file-access-from-files", "--user-data-dir=" + filepath.Join(dir, "profile")}
	for _, width := range []string{"360", "1280"} {
		// A frame of that width: Chromium's windows are not as narrow as a telephone.
		frame := filepath.Join(dir, "frame.html")
		require.NoError(t, os.WriteFile(frame, []byte(`<body style="margin:0"><iframe id="f" src="page.html" style="border:0;width:`+width+`px;height:2400px"></iframe><script>
f.onload = () => { const d = f.contentDocument.documentElement; document.title = d.scrollWidth + " of " + d.clientWidth; document.body.dataset.widths = document.title }</script>`), 0o600))
		out, err := exec.CommandContext(ctx, chromium, append(flags, "--dump-dom", "file://"+frame)...).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), `data-widths="`+width+` of `+width+`"`)
		for _, mode := range []string{"light", "dark"} {
			picture := filepath.Join(pictures, "measure-"+width+"-"+mode+".png")
			args := append(flags, "--window-size=1280,2400", "--screenshot="+picture)
			if mode == "dark" {
				args = append(args, "--blink-settings=preferredColorScheme=0")
			}
			require.NoError(t, exec.CommandContext(ctx, chromium, append(args, "file://"+frame)...).Run())
			i, err := os.Stat(picture)
			require.NoError(t, err)
			require.Greater(t, i.Size(), int64(10000))
		}
	}
}
