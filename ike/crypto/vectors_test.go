package crypto

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func fill(n int, c byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = c
	}
	return b
}

func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func suiteOf(t testing.TB, protocol message.ProtocolID, s string) Suite {
	t.Helper()
	ps, err := ParseProposal(protocol, s)
	require.NoError(t, err)
	require.Len(t, ps, 1)
	v, err := SuiteOf(ps[0])
	require.NoError(t, err)
	return v
}

// Spec sheet, section 12.
func TestKeyScheduleVector(t *testing.T) {
	s := suiteOf(t, message.ProtocolIKE, "aes256gcm16-prfsha256-curve25519")
	ni, nr := fill(32, 0xaa), fill(32, 0xbb)
	k, err := DeriveIKE(s, count(32), ni, nr, 0x0101010101010101, 0x0202020202020202)
	require.NoError(t, err)
	require.Equal(t, "a239492bf29f8b13a9cf2aedb956fbb8b3e94e768096ea977ed3673f5743944f", hex.EncodeToString(k.D))
	require.Equal(t, "70a97f234d8d8c95a757eb8b9f11e4a2a6887081a457e88d9283ee0d42b8aefd7c86f6d0", hex.EncodeToString(k.Ei))
	require.Equal(t, "52fbbf1c364cf8fce0570de2dcd2606e01f9fe7a516091b32eeba5e6221c6965dd1637db", hex.EncodeToString(k.Er))
	require.Equal(t, "16d111f1d8486bb827006559cd04aa938d22b277599ac1cb734e7eff41de6215", hex.EncodeToString(k.Pi))
	require.Equal(t, "38baf0a0b77648448bf211320c0758a054c47b9f5f724a4775bf24a31f67ddac", hex.EncodeToString(k.Pr))
	require.Empty(t, k.Ai)
	require.Empty(t, k.Ar)

	prf, err := s.NewPRF()
	require.NoError(t, err)
	esp := suiteOf(t, message.ProtocolESP, "aes256gcm16")
	c, err := DeriveChild(prf, k.D, esp, nil, ni, nr)
	require.NoError(t, err)
	require.Equal(t, "1cad15870a860c2cfc0bdcea050ed5635e24561c0a07f13b37d288711f525e139798c1cd", hex.EncodeToString(c.Ei))
	require.Equal(t, "42ba582418f870ef9abcd6c190b80f324cdb84e0a9ba1bc1ba98e60d35e95da9ae231039", hex.EncodeToString(c.Er))

	require.Equal(t, "[redacted]", fmt.Sprint(k))
	require.Equal(t, "[redacted]", fmt.Sprintf("%#v", c))
	k.Zero()
	c.Zero()
	require.Equal(t, make([]byte, 32), k.D)
	require.Equal(t, make([]byte, 36), c.Er)
}

func TestAuthVector(t *testing.T) {
	prf, err := NewPRF(message.PRFHMACSHA256)
	require.NoError(t, err)
	id := append([]byte{2, 0, 0, 0}, "carol.example.org"...)
	sk, nonce := count(32), count(16)
	require.Equal(t, "bf52a1828bfde72f1e997a5b5f33cd0454740d42896516087cbc9ff4d5d7dad8", hex.EncodeToString(prf.Sum(sk, id)))
	octets := SignedOctets(prf, sk, []byte("MSG1"), nonce, id, nil)
	require.Equal(t, "fc980b468617db7900a3f096e6f68e72d9f57fb57421a81a1a0c78c3766f315e", hex.EncodeToString(AuthShared(prf, []byte("ThisIsAPSK"), octets)))
	auth := AuthShared(prf, sk, octets)
	require.Equal(t, "023ba7d87222ec19903a54b4bf7c225fdc896d7651b6c323af7951128b503d1d", hex.EncodeToString(auth))
	require.True(t, VerifyShared(prf, sk, octets, auth))
	auth[3] ^= 1
	require.False(t, VerifyShared(prf, sk, octets, auth))
	require.False(t, VerifyShared(prf, sk, octets, auth[:31]))
	require.False(t, VerifyShared(prf, sk, octets, nil))
}

func TestNATDetectionVector(t *testing.T) {
	h := NATDetection(0x0102030405060708, 0, netip.MustParseAddrPort("192.0.2.1:500"))
	require.Equal(t, "644b4575455bd6fcc1efe2be8162a9218e448e5f", hex.EncodeToString(h))
	require.Equal(t, h, NATDetection(0x0102030405060708, 0, netip.MustParseAddrPort("[::ffff:192.0.2.1]:500")))
}

// RFC 4231, test case 2.
func TestPRFVector(t *testing.T) {
	for id, want := range map[uint16]string{
		message.PRFHMACSHA256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		message.PRFHMACSHA384: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
		message.PRFHMACSHA512: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
		message.PRFHMACSHA1:   "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", // RFC 2202
	} {
		p, err := NewPRF(id)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(p.Sum([]byte("Jefe"), []byte("what do ya want "), []byte("for nothing?"))), p)
		long, err := p.Plus([]byte("k"), []byte("s"), 255*p.Size())
		require.NoError(t, err)
		short, err := p.Plus([]byte("k"), []byte("s"), 7)
		require.NoError(t, err)
		require.Equal(t, long[:7], short)
		_, err = p.Plus([]byte("k"), []byte("s"), 255*p.Size()+1)
		require.Error(t, err)
	}
	_, err := NewPRF(message.PRFHMACMD5)
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, "PRF_HMAC_MD5")
}

// The primes are 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + k), with k of
// RFC 2409 and RFC 3526; pi after Machin.
func TestMODPPrimes(t *testing.T) {
	const bits = 8192
	unity := new(big.Int).Lsh(big.NewInt(1), bits+64)
	arctan := func(x int64) *big.Int {
		sum, term := new(big.Int), new(big.Int).Div(unity, big.NewInt(x))
		sum.Set(term)
		for n, sign := int64(3), -1; term.Sign() != 0; n, sign = n+2, -sign {
			term.Div(term, big.NewInt(x*x))
			q := new(big.Int).Div(term, big.NewInt(n))
			if sign < 0 {
				sum.Sub(sum, q)
			} else {
				sum.Add(sum, q)
			}
		}
		return sum
	}
	pi := new(big.Int).Mul(big.NewInt(4), arctan(5))
	pi.Sub(pi, arctan(239)).Mul(pi, big.NewInt(4))
	one := big.NewInt(1)
	for m, v := range map[message.KEMethod]struct {
		n uint
		k int64
	}{
		message.KEMODP1024: {1024, 129093}, message.KEMODP1536: {1536, 741804}, message.KEMODP2048: {2048, 124476},
		message.KEMODP3072: {3072, 1690314}, message.KEMODP4096: {4096, 240904}, message.KEMODP6144: {6144, 929484},
		message.KEMODP8192: {8192, 4743158},
	} {
		p := new(big.Int).Lsh(one, v.n)
		p.Sub(p, new(big.Int).Lsh(one, v.n-64)).Sub(p, one)
		mid := new(big.Int).Rsh(pi, bits+64-(v.n-130))
		mid.Add(mid, big.NewInt(v.k)).Lsh(mid, 64)
		p.Add(p, mid)
		require.Equal(t, fmt.Sprintf("%X", p), modpGroups[m].prime, m)
	}
	p, _ := new(big.Int).SetString(primeMODP2048, 16)
	require.True(t, p.ProbablyPrime(0))
	require.True(t, new(big.Int).Rsh(p, 1).ProbablyPrime(0), "safe prime")
}

// AES-GCM of McGrew and Viega, test cases 4 (128) and 16 (256), through the
// engine's nonce = salt | IV.
func TestGCMVector(t *testing.T) {
	plain := "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
	aad := "feedfacedeadbeeffeedfacedeadbeefabaddad2"
	for _, v := range []struct{ key, sealed, tag string }{
		{
			"feffe9928665731c6d6a8f9467308308",
			"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
			"5bc94fbc3221a5db94fae95ae7121a47",
		}, {
			"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
			"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
			"76fc6ece0f4e1768cddf8853bb2d551b",
		},
	} {
		for _, icv := range []int{8, 12, 16} {
			key := append(unhex(t, v.key), unhex(t, "cafebabe")...)
			s := suiteOf(t, message.ProtocolESP, fmt.Sprintf("aes%dgcm%d", 8*(len(key)-4), icv))
			e, err := newEngine(s, key, nil, nil)
			require.NoError(t, err)
			// Counter 0 under this mask gives the IV of the test case.
			e.mask = 0xfacedbaddecaf888
			b := append(make([]byte, 8), unhex(t, plain)...)
			b = append(b, make([]byte, icv)...)
			require.NoError(t, e.seal(b, 0, unhex(t, aad), nil))
			require.Equal(t, "facedbaddecaf888"+v.sealed+v.tag[:2*icv], hex.EncodeToString(b))
			got, err := e.open(b, 0, unhex(t, aad), nil)
			require.NoError(t, err)
			require.Equal(t, plain, hex.EncodeToString(got))
		}
	}
}

// RFC 3602 section 4, case 5 (sample transport-mode ESP packet, ping); without its
// authentication.
func TestCBCVector(t *testing.T) {
	key := unhex(t, "90d382b410eeba7ad938c46cec1a82bf")
	s := suiteOf(t, message.ProtocolESP, "aes128-sha256")
	e, err := newEngine(s, key, make([]byte, 32), constant("\xe9\x6e\x8c\x08\xab\x46\x57\x63\xfd\x09\x8d\x45\xdd\x3f\xf8\x93"))
	require.NoError(t, err)
	text := unhex(t, "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"+
		"202122232425262728292a2b2c2d2e2f30313233343536370102030405060708090a0b0c0d0e0e01")
	b := append(append(make([]byte, 16), text...), make([]byte, 16)...)
	require.NoError(t, e.seal(b, 0, nil, nil))
	require.Equal(t, "e96e8c08ab465763fd098d45dd3ff893f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"+
		"a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6",
		hex.EncodeToString(b[:len(b)-16]))
}

// constant is a random source that repeats itself.
type constant string

func (c constant) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = c[i%len(c)]
	}
	return len(b), nil
}
