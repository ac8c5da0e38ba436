package pts

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
)

// fake is a Measurer with two answers.
type fake struct{ alg HashAlgorithms }

func (f *fake) Measure(_ context.Context, path string, directory bool, alg HashAlgorithms) ([]MeasuredFile, error) {
	f.alg = alg
	switch path {
	case "/a":
		return []MeasuredFile{{Name: "a", Measurement: make([]byte, alg.Size())}}, nil
	case "/empty":
		return nil, nil
	case "/odd":
		return nil, fmt.Errorf("x: %w", ErrInvalidPath)
	case "/secret":
		return nil, errors.New("permission denied")
	}
	return nil, fmt.Errorf("x: %w", ErrNotFound)
}

func (f *fake) Metadata(_ context.Context, path string, _ bool) ([]FileMetadata, error) {
	if path != "/a" {
		return nil, ErrNotFound
	}
	return []FileMetadata{{Name: "a", Type: FileRegular, Size: 3}}, nil
}

func (f *fake) Symlinks(_ context.Context, d string) ([]patnc.Symlink, error) {
	if d != "/" {
		return nil, ErrNotFound
	}
	return []patnc.Symlink{{Path: "/lib", Target: "/usr/lib"}}, nil
}

func handle(t *testing.T, m *Machine, v patnc.Value) []patnc.Attribute {
	t.Helper()
	out, err := m.Handle(context.Background(), v)
	require.NoError(t, err)
	return out
}

// info returns the information of a TCG error.
func info(t *testing.T, as []patnc.Attribute, code ErrorCode) string {
	t.Helper()
	require.Len(t, as, 1)
	e := as[0].Value.(patnc.Error)
	require.Equal(t, patnc.VendorTCG, e.Vendor)
	require.Equal(t, uint32(code), e.Code)
	require.False(t, as[0].NoSkip)
	return hex.EncodeToString(e.Info)
}

func TestNegotiation(t *testing.T) {
	m := NewMachine(Config{})
	require.Equal(t, one(patnc.Skip(ProtocolCapabilities{CapVerify})), handle(t, m, RequestProtocolCapabilities{0x0e}))
	require.Equal(t, SHA384, m.Algorithm(), "before a selection")
	require.Equal(t, one(patnc.Skip(MeasurementAlgorithmSelection{SHA384})), handle(t, m, MeasurementAlgorithm{0xf000}))
	require.Equal(t, one(patnc.Skip(MeasurementAlgorithmSelection{SHA256})), handle(t, m, MeasurementAlgorithm{SHA1 | SHA256}))
	require.Equal(t, "0000e000", info(t, handle(t, m, MeasurementAlgorithm{SHA512}), ErrorHashAlgorithm))
	require.Equal(t, SHA256, m.Algorithm(), "the selection stands")
	m.Reset()
	require.Equal(t, SHA384, m.Algorithm())

	weak := NewMachine(Config{HashUpTo: "sha1"})
	require.Equal(t, one(patnc.Skip(MeasurementAlgorithmSelection{SHA1})), handle(t, weak, MeasurementAlgorithm{0xf000}))
	none := NewMachine(Config{HashUpTo: "md5"})
	require.Equal(t, "00000000", info(t, handle(t, none, MeasurementAlgorithm{0xf000}), ErrorHashAlgorithm))
}

func TestWithoutTPM(t *testing.T) {
	m := NewMachine(Config{})
	require.Equal(t, "00000000", info(t, handle(t, m, GetTPMVersionInformation{}), ErrorTPMVersionUnavailable))
	require.Empty(t, handle(t, m, GetAIK{}))
	require.Equal(t, one(patnc.Skip(SimpleEvidenceFinal{})), handle(t, m, GenerateAttestationEvidence{}))
	handle(t, m, RequestProtocolCapabilities{0x0e})
	request := func(f ComponentRequestFlags) RequestFunctionalComponentEvidence {
		return RequestFunctionalComponentEvidence{[]ComponentRequest{{Flags: f, Component: ima}}}
	}
	require.Equal(t, "1000000000902a2100000003", info(t, handle(t, m, request(RequestPCR)), ErrorPCR))
	info(t, handle(t, m, request(0xf0)), ErrorTransitiveTrust)
	info(t, handle(t, m, request(RequestCurrent)), ErrorCurrentEvidence)
	require.Empty(t, handle(t, m, request(RequestVerify)), "V was negotiated; no collector")
	_, err := m.Handle(context.Background(), RequestFunctionalComponentEvidence{[]ComponentRequest{{Depth: 1, Component: ima}}})
	require.ErrorIs(t, err, ErrComponent)
}

func TestFiles(t *testing.T) {
	f := &fake{}
	m := NewMachine(Config{Measurer: f})
	handle(t, m, MeasurementAlgorithm{SHA256})
	out := handle(t, m, RequestFileMeasurement{RequestID: 7, Delimiter: '/', Path: "/a"})
	require.Equal(t, one(patnc.NoSkip(FileMeasurement{RequestID: 7, Files: []MeasuredFile{{Name: "a", Measurement: make([]byte, 32)}}})), out)
	require.Equal(t, SHA256, f.alg)
	require.Equal(t, one(patnc.NoSkip(FileMeasurement{RequestID: 8})), handle(t, m, RequestFileMeasurement{RequestID: 8, Directory: true, Delimiter: '/', Path: "/empty"}))

	// Errors of PTS with the value of the request (TCG PTS Protocol Binding section 3.14.2).
	require.Equal(t, "000000090000002f2f6e6f6e6578697374656e74",
		info(t, handle(t, m, RequestFileMeasurement{RequestID: 9, Delimiter: '/', Path: "/nonexistent"}), ErrorFileNotFound))
	info(t, handle(t, m, RequestFileMeasurement{Delimiter: ':', Path: "/a"}), ErrorDelimiter)
	info(t, handle(t, m, RequestFileMeasurement{Delimiter: '/', Path: "/odd"}), ErrorInvalidPath)
	_, err := m.Handle(context.Background(), RequestFileMeasurement{Delimiter: '/', Path: "/secret"})
	require.ErrorContains(t, err, "permission denied")

	require.Equal(t, one(patnc.NoSkip(UnixFileMetadata{[]FileMetadata{{Name: "a", Type: FileRegular, Size: 3}}})), handle(t, m, RequestFileMetadata{Delimiter: '\\', Path: "/a"}))
	info(t, handle(t, m, RequestFileMetadata{Delimiter: '/', Path: "/b"}), ErrorFileNotFound)
	info(t, handle(t, m, RequestFileMetadata{Delimiter: 1, Path: "/a"}), ErrorDelimiter)

	require.Equal(t, one(patnc.Skip(patnc.Symlinks{Links: []patnc.Symlink{{Path: "/lib", Target: "/usr/lib"}}})), handle(t, m, patnc.GetSymlinks{Directory: "/"}))
	require.Empty(t, handle(t, m, patnc.GetSymlinks{Directory: "/x"}))

	without := NewMachine(Config{})
	info(t, handle(t, without, RequestFileMeasurement{Delimiter: '/', Path: "/a"}), ErrorFileNotFound)
	require.Empty(t, handle(t, without, ProtocolCapabilities{}), "not a request")
}

func TestNonceErrors(t *testing.T) {
	require.Equal(t, "0000f800", info(t, handle(t, NewMachine(Config{}), DHNonceParametersRequest{Groups: 0x03FF}), ErrorDHGroup))
	require.Equal(t, "0014ffff", info(t, handle(t, NewMachine(Config{}), DHNonceParametersRequest{MinNonce: 21, Groups: ECP256}), ErrorDHNonce))
	require.Equal(t, "0010ffff", info(t, handle(t, NewMachine(Config{NonceLength: 16}), DHNonceParametersRequest{Groups: ECP256}), ErrorDHNonce))

	m := NewMachine(Config{})
	_, err := m.Handle(context.Background(), DHNonceFinish{Hash: SHA256, Nonce: make([]byte, 20)})
	require.ErrorIs(t, err, ErrNonce, "before the parameters")
	handle(t, m, DHNonceParametersRequest{Groups: ECP256})
	for _, v := range []DHNonceFinish{
		{Hash: SHA512, Nonce: make([]byte, 20)},
		{Hash: SHA256 | SHA1, Nonce: make([]byte, 20)},
		{Hash: SHA256, Nonce: make([]byte, 19)},
		{Hash: SHA256, Nonce: make([]byte, 20), Public: make([]byte, 64)},
	} {
		_, err := m.Handle(context.Background(), v)
		require.ErrorIs(t, err, ErrNonce)
	}
}

func TestNonceSecret(t *testing.T) {
	seq := func(first, last byte) (b []byte) {
		for i := first; i <= last; i++ {
			b = append(b, i)
		}
		return b
	}
	ni, nr, z := seq(0, 0x13), seq(0x20, 0x33), seq(0x40, 0x5f)
	require.Equal(t, "f5496bf838c3ea9f23bd8aa7fa9ebaa9f5eb21d9", hex.EncodeToString(nonceSecret(SHA1, ni, nr, z)))
	require.Equal(t, "1bf373d3a27ecba371cc97806653da9122d9f368a824d83ffe750b0658dda675", hex.EncodeToString(nonceSecret(SHA256, ni, nr, z)))

	// Both ends agree; the strongest group of each pair is taken.
	for i, group := range []DHGroups{MODP1024, MODP1536, MODP2048, ECP256, ECP384, ECP521} {
		offered := group
		if i > 0 {
			offered |= MODP1024
		}
		m := NewMachine(Config{})
		r := handle(t, m, DHNonceParametersRequest{MinNonce: 17, Groups: offered})[0].Value.(DHNonceParametersResponse)
		require.Equal(t, group, r.Group)
		require.Equal(t, SHA384, r.Hashes)
		require.Len(t, r.Nonce, 20)
		sizes := map[DHGroups][2]int{MODP1024: {128, 128}, MODP1536: {192, 192}, MODP2048: {256, 256}, ECP256: {64, 32}, ECP384: {96, 48}, ECP521: {132, 66}}[group]
		require.Len(t, r.Public, sizes[0])
		peer, err := newExchange(group, rand.Reader)
		require.NoError(t, err)
		shared, err := peer.shared(r.Public)
		require.NoError(t, err)
		require.Len(t, shared, sizes[1])
		handle(t, m, DHNonceFinish{Hash: SHA256, Public: peer.public(), Nonce: ni})
		require.Equal(t, nonceSecret(SHA256, ni, r.Nonce, shared), m.secret)
		_, err = m.Handle(context.Background(), DHNonceFinish{Hash: SHA256, Public: peer.public(), Nonce: ni})
		require.ErrorIs(t, err, ErrNonce, "a key is used once")
		m.Close()
		require.Nil(t, m.secret)
	}
}

// Public values outside the group, or of small order, give no secret.
func TestPublicValuesAreChecked(t *testing.T) {
	for _, g := range modpGroups {
		m := g.modulus()
		prime := m.Nat().Bytes(m)
		minusOne := append([]byte(nil), prime...)
		minusOne[len(minusOne)-1]--
		one := make([]byte, m.Size())
		one[len(one)-1] = 1
		ff := bytes.Repeat([]byte{0xFF}, m.Size())
		d, err := newExchange(g.group, rand.Reader)
		require.NoError(t, err)
		for _, peer := range [][]byte{nil, make([]byte, m.Size()), one, minusOne, ff, prime, make([]byte, m.Size()-1), make([]byte, m.Size()+1)} {
			_, err := d.shared(peer)
			require.ErrorIs(t, err, errPublicValue)
		}
	}
	for group, size := range map[DHGroups]int{ECP256: 64, ECP384: 96, ECP521: 132} {
		d, err := newExchange(group, rand.Reader)
		require.NoError(t, err)
		for _, peer := range [][]byte{nil, make([]byte, size), bytes.Repeat([]byte{0xFF}, size), make([]byte, size-1), make([]byte, size+1)} {
			_, err := d.shared(peer)
			require.ErrorIs(t, err, errPublicValue)
		}
	}
	_, err := newExchange(MODP1024|ECP256, rand.Reader)
	require.Error(t, err, "one group")
}

func BenchmarkDHNonce(b *testing.B) {
	for _, e := range groups {
		b.Run(e.name, func(b *testing.B) {
			for b.Loop() {
				d, err := newExchange(e.group, rand.Reader)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := d.shared(d.public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
