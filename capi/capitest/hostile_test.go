package capitest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// hostile is what a verifier sends on one connection, message by message, and
// what becomes of it.
type hostile struct {
	name     string
	os       bool // under IETF/Operating System in place of TCG/PTS
	messages [][]byte
	fatal    bool   // the last message's call ends with TNC_RESULT_FATAL
	answer   string // what the answers to it must contain: see describe
	quiet    bool   // no answer
}

// message frames attributes; octets stand for themselves.
func message(parts ...any) []byte {
	b := []byte{1, 0, 0, 0, 1, 2, 3, 4}
	for _, p := range parts {
		var err error
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case patnc.Value:
			if b, err = patnc.NoSkip(p).AppendBinary(b); err != nil {
				panic(err)
			}
		}
	}
	return b
}

// attribute frames a value as it stands, with its length or another one.
func attribute(vendor, kind uint32, length int, value ...byte) []byte {
	b := []byte{0x80, byte(vendor >> 16), byte(vendor >> 8), byte(vendor)}
	b = binary.BigEndian.AppendUint32(b, kind)
	if length < 0 {
		length = 12 + len(value)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(length)), value...)
}

// describe says what an answer consists of, a line an attribute.
func describe(t *testing.T, m []byte) string {
	t.Helper()
	parsed, err := patnc.Parse(m, pts.Attributes)
	require.NoError(t, err, "the answer itself is well-formed: %x", m)
	var s strings.Builder
	for _, at := range parsed.Attributes {
		switch v := at.Value.(type) {
		case patnc.Error:
			fmt.Fprintf(&s, "error %06x/%d %x\n", v.Vendor, v.Code, v.Info)
		case pts.FileMeasurement:
			fmt.Fprintf(&s, "measured %d", len(v.Files))
			for _, f := range v.Files[:min(len(v.Files), 4)] {
				fmt.Fprintf(&s, " %q", f.Name)
			}
			s.WriteString("\n")
		case pts.UnixFileMetadata:
			fmt.Fprintf(&s, "metadata %d", len(v.Files))
			for _, f := range v.Files[:min(len(v.Files), 4)] {
				fmt.Fprintf(&s, " %q=%v", f.Name, f.Type)
			}
			s.WriteString("\n")
		default:
			fmt.Fprintf(&s, "%s %+v\n", at.Value.Type().Name(), v)
		}
	}
	return s.String()
}

func measure(path string) pts.RequestFileMeasurement {
	return pts.RequestFileMeasurement{RequestID: 1, Path: path}
}

func measureDir(path string) pts.RequestFileMeasurement {
	return pts.RequestFileMeasurement{RequestID: 1, Directory: true, Path: path}
}

func repeat(n int, v patnc.Value) []byte {
	parts := make([]any, n)
	for i := range parts {
		parts[i] = v
	}
	return message(parts...)
}

const (
	head    = "0100000001020304" // of every message, as errors repeat it
	invalid = "error 000000/1 " + head
)

func TestHostileVerifier(t *testing.T) {
	built(t)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	in := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(in("file"), []byte("hello\n"), 0o644))
	require.NoError(t, os.WriteFile(in("\xff\xfe"), []byte("not UTF-8"), 0o644))
	require.NoError(t, unix.Mkfifo(in("fifo"), 0o644))
	require.NoError(t, os.Symlink("loop", in("loop")))
	require.NoError(t, os.Symlink("/dev/zero", in("zero")))
	require.NoError(t, os.Symlink(in("fifo"), in("tofifo")))
	require.NoError(t, os.Mkdir(in("empty"), 0o755))
	require.NoError(t, os.Mkdir(in("odd"), 0o755))
	require.NoError(t, unix.Mkfifo(filepath.Join(in("odd"), "fifo"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(in("odd"), "a"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(in("odd"), ".hidden"), nil, 0o644))
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer unix.Close(socket)
	require.NoError(t, unix.Bind(socket, &unix.SockaddrUnix{Name: in("s")}))
	big, err := os.Create(in("big"))
	require.NoError(t, err)
	require.NoError(t, big.Truncate(1<<43), "8 TiB, sparse")
	big.Close()

	caps := pts.RequestProtocolCapabilities{Capabilities: 0x0e}
	nonce := func(g pts.DHGroups) pts.DHNonceParametersRequest {
		return pts.DHNonceParametersRequest{Groups: g}
	}
	finish := func(h pts.HashAlgorithms, public, nonce int) pts.DHNonceFinish {
		return pts.DHNonceFinish{Hash: h, Public: bytes.Repeat([]byte{0xFF}, public), Nonce: make([]byte, nonce)}
	}
	component := func(flags byte, depth byte, name string) []byte {
		n, _ := hex.DecodeString(name)
		return attribute(0x005597, 0x00100000, -1, append([]byte{flags, 0, 0, depth}, n...)...)
	}
	contract := func(m, s uint32) patnc.ContractRequest {
		return patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: m, MaxSegment: s}}
	}
	one := func(parts ...any) [][]byte { return [][]byte{message(parts...)} }
	const ima = "00902a2100000003"

	cases := []hostile{
		// Frames.
		{name: "one octet", messages: [][]byte{{1}}, fatal: true},
		{name: "seven octets", messages: [][]byte{{1, 0, 0, 0, 0, 0, 0}}, fatal: true},
		{name: "version 2", messages: [][]byte{{2, 0, 0, 0, 9, 9, 9, 9}}, answer: "error 000000/2 020000000909090901010000\n"},
		{name: "no attributes", messages: one(), quiet: true},
		{name: "half a header", messages: one([]byte{0x80, 0, 0x55, 0x97, 1}), answer: invalid + "00000008\n"},
		{name: "length below the header", messages: one(attribute(0x005597, 0x01000000, 11, 0, 0, 0, 0)), answer: invalid + "00000010\n"},
		{name: "length beyond the message", messages: one(attribute(0x005597, 0x01000000, 1<<31, 0, 0, 0, 0)), answer: invalid + "00000010\n"},
		{name: "length of all ones", messages: one(attribute(0x005597, 0x01000000, 0xFFFFFFFF, 0, 0, 0, 0)), answer: invalid + "00000010\n"},
		{name: "reserved vendor", messages: one(attribute(0xFFFFFF, 1, -1)), answer: invalid + "00000009\n"},
		{name: "reserved type", messages: one(attribute(0x005597, 0xFFFFFFFF, -1)), answer: invalid + "0000000c\n"},
		{name: "unknown, may not be skipped", messages: one(attribute(0x00902A, 0x63, -1)), answer: "error 000000/3 " + head + "8000902a00000063\n"},
		{name: "unknown, may be skipped", messages: one(attribute(0x123456, 7, -1, 1, 2, 3)[1:], []byte{}), answer: invalid},
		{name: "error after an answer", messages: one(caps, []byte{1, 2, 3}), answer: invalid + "00000018\n"},
		{name: "malformed error", messages: one(attribute(0, 8, -1, 0, 0, 0)), quiet: true},
		{name: "an error is not answered", messages: one(patnc.Error{Vendor: 0x123456, Code: 1}), quiet: true},
		{name: "5,000 attributes", messages: [][]byte{repeat(5000, caps)}, answer: invalid},
		{name: "TCG's error", messages: one(patnc.Error{Vendor: patnc.VendorTCG, Code: 7}), fatal: true},

		// Values.
		{name: "short capabilities", messages: one(attribute(0x005597, 0x01000000, -1, 0, 0)), answer: invalid + "00000014\n"},
		{name: "no algorithm in common", messages: one(pts.MeasurementAlgorithm{Algorithms: 0x0800}), answer: "error 005597/1 0000e000\n"},
		{name: "registry", messages: one(attribute(0x005597, 0x00A00000, -1, 'H', 'K')), answer: "error 005597/4 484b\n"},
		{name: "reference manifest", messages: one(attribute(0x005597, 0x0C000000, -1, make([]byte, 50000)...)), answer: "error 005597/12 " + strings.Repeat("00", 1024) + "\n"},
		{name: "measurement log", messages: one(attribute(0x005597, 0x00E00000, -1)), answer: "error 005597/11 \n"},
		{name: "long path", messages: one(measure("/" + strings.Repeat("a", 60000))), answer: "error 005597/"},
		{name: "empty path", messages: one(measure("")), answer: "error 005597/"},
		{name: "relative path", messages: one(measure("etc/passwd")), answer: "error 005597/"},
		{name: "NUL in the path", messages: one(attribute(0x005597, 0x00C00000, -1, append([]byte{0, 0, 0, 1, 0, 0, 0, '/'}, "/etc\x00/x"...)...)), answer: invalid + "00000020\n"},
		{name: "delimiter", messages: one(pts.RequestFileMeasurement{Delimiter: '|', Path: "/"}), answer: "error 005597/10 000000000000007c2f\n"},
		{name: "metadata delimiter", messages: one(pts.RequestFileMetadata{Delimiter: '|', Path: "/"}), answer: "error 005597/10 007c00002f\n"},
		{name: "missing file", messages: one(measure("/nonexistent")), answer: "error 005597/3 000000010000002f2f6e6f6e6578697374656e74\n"},
		{name: "requests an error", os: true, messages: one(patnc.AttributeRequest{Types: []patnc.Type{patnc.TypeError}}), answer: invalid + "00000014\n"},
		{name: "empty attribute request", os: true, messages: one(attribute(0, 1, -1)), answer: invalid + "00000014\n"},
		{name: "settings outside", os: true, messages: one(patnc.GetSettings{Names: []string{"/root/.ssh/id_rsa", "/etc/shadow", "/etc/../root/x", "/proc/kmsg"}}), quiet: true},
		{name: "4 billion settings", os: true, messages: one(attribute(0x00902A, 3, -1, 0xFF, 0xFF, 0xFF, 0xFF)), answer: invalid},

		// Files that never end, block or lie.
		{name: "device", messages: one(measure("/dev/zero")), answer: "error 005597/"},
		{name: "device behind a link", messages: one(measure(in("zero"))), answer: "error 005597/"},
		{name: "terminal", messages: one(measure("/dev/tty")), answer: "error 005597/"},
		{name: "FIFO", messages: one(measure(in("fifo"))), answer: "error 005597/"},
		{name: "FIFO behind a link", messages: one(measure(in("tofifo"))), answer: "error 005597/"},
		{name: "socket", messages: one(measure(in("s"))), answer: "error 005597/"},
		{name: "links in a circle", messages: one(measure(in("loop"))), answer: "error 005597/"},
		{name: "kernel file that blocks", messages: one(measure("/proc/kmsg")), answer: "error 005597/"},
		{name: "its own memory", messages: one(measure("/proc/self/mem")), answer: "error 005597/"},
		{name: "kernel files", messages: one(measureDir("/sys/kernel")), answer: "error 005597/"},
		{name: "out of the allowed by dots", messages: one(measure("/etc/../proc/self/maps")), answer: "error 005597/"},
		{name: "file as a directory", messages: one(measureDir(in("file"))), answer: ""},
		{name: "directory as a file", messages: one(measure(dir)), answer: ""},
		{name: "empty directory", messages: one(measureDir(in("empty"))), answer: "measured 0\n"},
		{name: "odd directory", messages: one(measureDir(in("odd"))), answer: "measured 1 \"a\"\n"},
		{name: "name that is not UTF-8", messages: one(measure(in("\xff\xfe"))), answer: `measured 1 "\xff\xfe"`},
		{name: "8 TiB", messages: one(measure(in("big"))), answer: "error 005597/"},
		{name: "1,000 times the same", messages: [][]byte{repeat(1000, measure(in("file")))}, answer: "measured 1 \"file\"\n"},
		{name: "metadata of a FIFO", messages: one(pts.RequestFileMetadata{Path: in("fifo")}), answer: "metadata 1 \"fifo\"=FIFO\n"},

		// D-H nonces.
		{name: "no group in common", messages: one(nonce(0x0001)), answer: "error 005597/6 0000f800\n"},
		{name: "long nonce wanted", messages: one(pts.DHNonceParametersRequest{MinNonce: 255, Groups: pts.ECP256}), answer: "error 005597/7 0014ffff\n"},
		{name: "finish without start", messages: one(finish(pts.SHA256, 64, 20)), fatal: true},
		{name: "point off the curve", messages: [][]byte{message(nonce(pts.ECP256)), message(finish(pts.SHA256, 64, 20))}, fatal: true},
		{name: "number beyond the prime", messages: [][]byte{message(nonce(pts.MODP2048)), message(finish(pts.SHA256, 256, 20))}, fatal: true},
		{name: "short nonce", messages: [][]byte{message(nonce(pts.ECP256)), message(finish(pts.SHA256, 64, 19))}, fatal: true},
		{name: "hash that was not offered", messages: [][]byte{message(nonce(pts.ECP256)), message(finish(0x0001, 64, 20))}, fatal: true},
		{name: "nonce longer than the value", messages: one(attribute(0x005597, 0x05000000, -1, 0, 200, 0x40, 0, 1, 2, 3, 4)), answer: invalid},
		{name: "500 exchanges", messages: [][]byte{repeat(500, nonce(pts.MODP1024))}, fatal: true},

		// Evidence, with no TPM here.
		{name: "no TPM", messages: one(pts.GetTPMVersionInformation{}), answer: "error 005597/9 00000000\n"},
		{name: "no AIK", messages: one(pts.GetAIK{}), quiet: true},
		{name: "transitive trust", messages: one(caps, component(0x80, 0, ima)), answer: "error 005597/15 80000000" + ima + "\n"},
		{name: "current evidence", messages: one(caps, component(0x20, 0, ima)), answer: "error 005597/14 20000000" + ima + "\n"},
		{name: "PCR without TPM", messages: one(caps, component(0x10, 0, ima)), answer: "error 005597/16 10000000" + ima + "\n"},
		{name: "verify without V", messages: one(pts.RequestProtocolCapabilities{}, component(0x40, 0, ima)), answer: "error 005597/13 40000000" + ima + "\n"},
		{name: "sub-components", messages: one(component(0, 3, ima)), fatal: true},
		{name: "unknown name family", messages: one(component(0, 0, "00902ae100000003")), answer: invalid},
		{name: "nothing measured", messages: one(pts.GenerateAttestationEvidence{}), answer: "Simple Evidence Final"},

		// Segmentation.
		{name: "segments of one octet", messages: [][]byte{message(contract(patnc.NoLimit, 1), caps)}, answer: "PTS Protocol Capabilities"},
		{name: "contract of nothing", messages: [][]byte{message(contract(0, 0), measure(in("file")))}, answer: "measured 1"},
		{name: "next segment without contract", messages: one(patnc.NextSegment{BaseMessageID: 1}), quiet: true},
		{name: "next segment of nothing", messages: [][]byte{message(contract(patnc.NoLimit, 100)), message(patnc.NextSegment{BaseMessageID: 0xFFFFFF})}, quiet: true},
		{name: "cancel of nothing", messages: [][]byte{message(contract(patnc.NoLimit, 100)), message(patnc.NextSegment{Cancel: true, BaseMessageID: 1})}, quiet: true},
		{name: "cancelled", messages: [][]byte{message(contract(patnc.NoLimit, 20), measure(in("file"))), message(patnc.NextSegment{Cancel: true, BaseMessageID: 1}), message(patnc.NextSegment{BaseMessageID: 1})}, quiet: true},
		{name: "segment that nobody asked for", messages: one(patnc.SegmentEnvelope{Start: true, More: true, BaseMessageID: 1, Data: make([]byte, 1000)}), quiet: true},
		{name: "100 bases and no request for the rest", messages: [][]byte{message(contract(patnc.NoLimit, 20)), repeat(100, measure(in("file")))}, answer: "Segment Envelope"},

		// What is shown.
		{name: "remediation with a NUL", messages: one(attribute(0, 10, -1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 'a', 0, 'b', 2, 'e', 'n')), answer: invalid + "00000021\n"},
		{name: "remediation longer than itself", messages: one(attribute(0, 10, -1, 0, 0, 0, 0, 0, 0, 0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 'a')), answer: invalid},
		{name: "result 99", messages: one(attribute(0, 9, -1, 0, 0, 0, 99)), quiet: true},
	}
	require.GreaterOrEqual(t, len(cases), 40)
	t.Logf("%d cases", len(cases))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kind := "005597 1 "
			if c.os {
				kind = "0 1 "
			}
			var input strings.Builder
			for _, m := range c.messages {
				input.WriteString(kind + hex.EncodeToString(m) + "\n\n")
			}
			began := time.Now()
			out, errs := run{input: input.String(), conf: "libimcv { plugins { imc-attestation { measure_max_seconds = 5 } } }"}.host(t, "exchange")
			require.Less(t, time.Since(began), 60*time.Second)
			require.NotRegexp(t, `TNC_IMC_\w+ failed: `, errs, "a recovered panic")
			turns := strings.Split(out, "--\n")
			require.Len(t, turns, len(c.messages)+2, "%s", out)
			last := turns[len(c.messages)]
			code := "0"
			if c.fatal {
				code = "10"
			}
			require.Contains(t, last, "ReceiveMessageLong = "+code+"\n", "%s\n%s", short(last), errs)
			var said strings.Builder
			sent := 0
			for _, l := range strings.Split(last, "\n") {
				if strings.HasPrefix(l, "SendMessageLong ") {
					sent++
					m, err := hex.DecodeString(l[strings.LastIndex(l, " ")+1:])
					require.NoError(t, err)
					require.LessOrEqual(t, len(m), 65490)
					said.WriteString(describe(t, m))
				}
			}
			if c.quiet || c.fatal {
				require.Zero(t, sent, said.String())
				return
			}
			require.Contains(t, said.String(), c.answer)
		})
	}
}

func short(s string) string { return strconv.Quote(s[:min(len(s), 2000)]) }
