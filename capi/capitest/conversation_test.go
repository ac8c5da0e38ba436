package capitest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/server"
	"github.com/gotnc/gotnc/tnccs/xml"
)

// tncServer answers one batch of a client; no answer ends the conversation.
type tncServer interface {
	Receive(batch []byte) ([]byte, error)
}

// xmlServer is a TNC server of TNCCS 1.1 before an IMV.
type xmlServer struct {
	imv  server.IMV
	last uint32
	over bool
}

// open makes the first batch of a server that begins.
func (s *xmlServer) open() ([]byte, error) {
	s.imv.Begin()
	return s.build()
}

func (s *xmlServer) Receive(batch []byte) ([]byte, error) {
	s.last++
	x, err := xml.Parse(batch, s.last, xml.TNCS)
	if err != nil {
		return nil, err
	}
	if s.last == 1 {
		s.imv.Begin()
	}
	for _, m := range x.Messages {
		switch m := m.(type) {
		case xml.IMCIMV:
			s.imv.Receive(pb.PA{Vendor: m.Type >> 8, Subtype: m.Type & 0xff, Collector: 1, Validator: pb.AnyID, Body: m.Body})
		case xml.Error:
			return nil, &xml.PeerError{Received: m}
		}
	}
	return s.build()
}

func (s *xmlServer) build() ([]byte, error) {
	s.last++
	b := xml.NewBuilder(s.last, xml.TNCC, 1<<20)
	var out []xml.Message
	for _, m := range s.imv.BatchEnding() {
		out = append(out, xml.IMCIMV{Type: m.Vendor<<8 | m.Subtype, Body: m.Body})
	}
	if r, ok := s.imv.Result(); ok {
		var reasons xml.ReasonStrings
		for _, r := range r.Reasons {
			reasons.Reasons = append(reasons.Reasons, xml.Reason{Text: r.Text, Language: r.Language})
		}
		rec := map[pb.Access]xml.RecommendationType{pb.AccessAllowed: xml.Allow, pb.Quarantined: xml.Isolate, pb.AccessDenied: xml.None}[r.Access]
		out = append(out, xml.Recommendation{Type: rec})
		if len(reasons.Reasons) > 0 {
			out = append(out, reasons)
		}
		s.over = true
	}
	for _, m := range out {
		if ok, err := b.Add(m); err != nil || !ok {
			return nil, fmt.Errorf("add a message: %v, %w", ok, err)
		}
	}
	return b.Bytes(), nil
}

// converse runs the example against a server, and returns what it said and its
// exit code. Where opening is not nil, the server begins with it.
func converse(t *testing.T, s *site, server tncServer, opening []byte, args ...string) (stderr string, code int) {
	t.Helper()
	cmd := s.command(t, "example", args...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var said strings.Builder
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	write := func(b []byte) {
		_, err := in.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
		require.NoError(t, err)
	}
	if opening != nil {
		write(opening)
	}
	for {
		var head [4]byte
		_, err := io.ReadFull(out, head[:])
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		batch := make([]byte, binary.BigEndian.Uint32(head[:]))
		_, err = io.ReadFull(out, batch)
		require.NoError(t, err)
		reply, err := server.Receive(batch)
		require.NoError(t, err)
		if len(reply) > 0 {
			write(reply)
		}
	}
	in.Close()
	_ = cmd.Wait() // the exit code says it
	return said.String(), cmd.ProcessState.ExitCode()
}

// Whole conversations of a program in C with the project's TNC server and
// verifier: over both protocols, with the IMC in a child and in process, with
// whoever speaks first, and with every outcome.
func TestConversations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(file, []byte("hello\n"), 0o600))
	sum := sha256.Sum256([]byte("hello\n"))
	right, wrong := hex.EncodeToString(sum[:]), strings.Repeat("00", len(sum))
	for _, c := range []struct {
		name   string
		digest string
		change func(*imv.Policy)
		says   string
		code   int
	}{
		{"allow", right, nil, "recommendation: allow, assessment: ", 0},
		{"isolate", wrong, nil, "recommendation: isolate, assessment: ", 3},
		{"deny", wrong, func(p *imv.Policy) { p.OnMismatch = imv.Deny }, "recommendation: deny, assessment: ", 4},
	} {
		for _, way := range [][]string{
			{}, {"-i"}, {"-t"}, {"-s"}, {"-p", "tnccs-1.1"}, {"-p", "tnccs-1.1", "-i"}, {"-p", "tnccs-dynamic"}, {"-p", "tnccs-dynamic", "-s"},
		} {
			t.Run(c.name+strings.Join(way, ""), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				p := imv.Policy{Files: map[string]string{file: c.digest}, Directories: map[string]map[string]string{filepath.Dir(file): nil}, Remediation: "https://help.example/"}
				if c.change != nil {
					c.change(&p)
				}
				v, err := imv.New(imv.Config{Policy: p})
				require.NoError(t, err)
				pbs := server.New(server.Config{}, gateway.NewIMV(v, nil))
				server, opening := tncServer(pbs), []byte(nil)
				xs := &xmlServer{imv: gateway.NewIMV(v, nil)}
				args := append([]string{"-h", s.helper}, way...)
				// Whoever speaks second follows: dynamic is TNCCS 1.1 where the server begins.
				spoken, first := strings.Join(way, " "), slices.Contains(way, "-s")
				switch {
				case strings.Contains(spoken, "tnccs-1.1"):
					server = xs
				case strings.Contains(spoken, "tnccs-dynamic") && first:
					server = xs
					opening, err = xs.open()
				case first:
					opening, err = pbs.Open()
				}
				require.NoError(t, err)
				stderr, code := converse(t, s, server, opening, append(args, filepath.Join(s.dir, "one"))...)
				require.Equal(t, c.code, code, stderr)
				require.Contains(t, stderr, c.says)
				want := imv.Match
				if c.code != 0 {
					want = imv.Mismatch
				}
				r := v.Report()
				require.Len(t, r.Files, 2, "the file, and its directory\n%s", stderr)
				require.Contains(t, r.Files, imv.Measurement{Path: file, Digest: sum[:], Result: want})
				require.NotEmpty(t, r.Product)
				if server == tncServer(pbs) {
					require.Equal(t, c.code != 4, pbs.Allowed())
					require.NoError(t, pbs.Failure())
					require.Equal(t, pb.End, pbs.State())
				} else {
					require.True(t, xs.over)
				}
				if c.code != 0 {
					require.Regexp(t, "(?m)^reason: .", stderr)
				}
			})
		}
	}
}

// The example says what is wrong with how it is called.
func TestExampleClientFails(t *testing.T) {
	s := newSite(t)
	out, err := s.command(t, "example").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "usage: client")
	stderr, code := converse(t, s, nil, nil, s.dir+"/nothing")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "client: configuration: read TNC configuration: ")
}

// strongSwan's own five IMCs, which were written for charon, through libtnccs.
func TestConversationWithStrongSwansIMCs(t *testing.T) {
	prefix := need.StrongSwan(t)
	file := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(file, []byte("hello\n"), 0o600))
	sum := sha256.Sum256([]byte("hello\n"))
	for _, way := range [][]string{{}, {"-i"}} {
		t.Run("as"+strings.Join(way, ""), func(t *testing.T) {
			s := newSite(t)
			var lines strings.Builder
			for _, name := range []string{"os", "attestation", "test", "scanner", "swima"} {
				fmt.Fprintf(&lines, "IMC %q %s/lib/ipsec/imcvs/imc-%s.so\n", name, prefix, name)
			}
			config := filepath.Join(s.dir, "theirs")
			require.NoError(t, os.WriteFile(config, []byte(lines.String()), 0o600))
			v, err := imv.New(imv.Config{Policy: imv.Policy{Files: map[string]string{file: hex.EncodeToString(sum[:])}}})
			require.NoError(t, err)
			pbs := server.New(server.Config{}, gateway.NewIMV(v, nil))
			stderr, code := converse(t, s, pbs, nil, append(append([]string{"-h", s.helper}, way...), config)...)
			require.Zero(t, code, stderr)
			require.Contains(t, stderr, "recommendation: allow")
			require.Equal(t, []imv.Measurement{{Path: file, Digest: sum[:], Result: imv.Match}}, v.Report().Files)
		})
	}
}
