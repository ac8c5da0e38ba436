package crypto

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

func TestParseProposal(t *testing.T) {
	for _, v := range []struct {
		protocol message.ProtocolID
		in, want string
	}{
		{message.ProtocolIKE, "aes256-sha256-modp2048", "IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048"},
		{message.ProtocolIKE, "aes128-aes256-sha256-sha512-ecp256-x25519", "IKE:AES_CBC_128/AES_CBC_256/HMAC_SHA2_256_128/HMAC_SHA2_512_256/PRF_HMAC_SHA2_256/PRF_HMAC_SHA2_512/ECP_256/CURVE_25519"},
		{message.ProtocolIKE, "aes256gcm16-prfsha384-ecp384", "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_384"},
		{message.ProtocolIKE, "aes128gcm128-sha256-modp3072", "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/MODP_3072"},
		{message.ProtocolIKE, " AES128-SHA1-modp1024 ", "IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024"},
		{message.ProtocolIKE, "chacha20poly1305-prfsha256-curve25519", "IKE:CHACHA20_POLY1305/PRF_HMAC_SHA2_256/CURVE_25519"},
		{message.ProtocolESP, "aes256gcm16", "ESP:AES_GCM_16_256/NO_EXT_SEQ"},
		{message.ProtocolESP, "aes128-sha256-modp2048-esn-noesn", "ESP:AES_CBC_128/HMAC_SHA2_256_128/MODP_2048/EXT_SEQ/NO_EXT_SEQ"},
		{message.ProtocolESP, "aes128-aes128-sha256", "ESP:AES_CBC_128/HMAC_SHA2_256_128/NO_EXT_SEQ"},
		{message.ProtocolIKE, "aes128gcm16-prfsha256-x25519-ke1_mlkem768", "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519/KE1_ML_KEM_768"},
		{message.ProtocolIKE, "aes256-sha384-ke3_mlkem1024-ecp384-ke1_mlkem768-ke3_none", "IKE:AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384/KE1_ML_KEM_768/KE3_ML_KEM_1024/KE3_KE_NONE"},
		{message.ProtocolIKE, "aes256gcm-sha512-mlkem768-none", "IKE:AES_GCM_16_256/PRF_HMAC_SHA2_512/ML_KEM_768"},
		{message.ProtocolIKE, "chacha20poly1305compat-prfsha256-x25519", "IKE:CHACHA20_POLY1305/PRF_HMAC_SHA2_256/CURVE_25519"},
		{message.ProtocolESP, "aes256gcm16-prfsha256-x25519-modpnone-ke1_mlkem768", "ESP:AES_GCM_16_256/CURVE_25519/KE_NONE/NO_EXT_SEQ/KE1_ML_KEM_768"},
	} {
		ps, err := ParseProposal(v.protocol, v.in)
		require.NoError(t, err, v.in)
		require.Equal(t, v.want, ProposalString(ps...))
	}
	for _, v := range []struct {
		protocol message.ProtocolID
		in, want string
	}{
		{message.ProtocolIKE, "", "no algorithm"},
		{message.ProtocolIKE, "aes256-sha256", "no key exchange"},
		{message.ProtocolIKE, "aes256gcm16-modp2048", "no PRF"},
		{message.ProtocolIKE, "sha256-modp2048", "no cipher"},
		{message.ProtocolIKE, "aes256-modp2048", "no integrity"},
		{message.ProtocolIKE, "aes256-aes256gcm16-sha256-modp2048", "separate proposals"},
		{message.ProtocolESP, "3des-sha1", `"3des" is not implemented`},
		{message.ProtocolESP, "aes256-foo", `no algorithm is called "foo"`},
		{message.ProtocolIKE, "aes256-sha256-none", "no key exchange"},
		{message.ProtocolIKE, "aes256-sha256-ke1_mlkem768", "without a first"},
		{message.ProtocolIKE, "aes256-sha256-x25519-ke1_sha256", "no key exchange method"},
		{message.ProtocolIKE, "aes256-sha256-x25519-ke8_mlkem768", "no algorithm"},
		{message.ProtocolIKE, "aes256-sha256-x25519-ke1_mlkem512", "ML-KEM-768 and ML-KEM-1024 only"},
		{message.ProtocolIKE, "aes256-sha256-x25519-ke1_frodoa3", "no algorithm"},
		{message.ProtocolESP, "aes256gcm16-ke1_mlkem768", "without a first"},
		{message.ProtocolAH, "sha256", "not supported"},
	} {
		_, err := ParseProposal(v.protocol, v.in)
		require.ErrorContains(t, err, v.want, v.in)
	}
}

func TestDefaults(t *testing.T) {
	for _, ps := range [][]message.Proposal{DefaultIKE(), DefaultESP()} {
		require.Len(t, ps, 2)
		require.NotRegexp(t, "SHA1|MODP_1024|MODP_1536|MD5|GCM_8|GCM_12", ProposalString(ps...))
	}
	ps, err := ParseProposals(message.ProtocolIKE, nil)
	require.NoError(t, err)
	require.Equal(t, DefaultIKE(), ps)
	ps, err = ParseProposals(message.ProtocolESP, []string{"aes128-sha1", "default"})
	require.NoError(t, err)
	require.Len(t, ps, 3)
	require.Equal(t, message.KECurve25519, PreferredKE(DefaultIKE()))
	require.Equal(t, message.KENone, PreferredKE(DefaultESP()))
	require.True(t, OffersKE(DefaultIKE(), message.KEMODP2048))
	require.False(t, OffersKE(DefaultIKE(), message.KEMODP1024))
	require.False(t, OffersKE(DefaultIKE(), message.KENone))
}

func mustList(t *testing.T, p message.ProtocolID, list ...string) []message.Proposal {
	ps, err := ParseProposals(p, list)
	require.NoError(t, err)
	return ps
}

func TestESPSelection(t *testing.T) {
	offer := WithoutKE(mustList(t, message.ProtocolESP, "aes256gcm16-x25519", "aes128-sha256"))
	require.NotContains(t, ProposalString(offer...), "CURVE")
	spi := []byte{0xc0, 1, 2, 3}
	s, c, err := Select(DefaultESP(), SAPayload(offer, spi))
	require.NoError(t, err)
	require.Equal(t, "ESP:AES_GCM_16_256/NO_EXT_SEQ", s.String())
	require.Equal(t, spi, c.SPI)
	c.SPI = []byte{1, 0, 0, 0}
	_, got, err := CheckChosen(offer, &message.SA{Proposals: []message.Proposal{c}})
	require.NoError(t, err)
	require.Equal(t, c.SPI, got.SPI)

	// A peer that leaves ESN out, and one that lists KE NONE and INTEG NONE.
	bare := message.Proposal{Number: 1, Protocol: message.ProtocolESP, SPI: spi, Transforms: []message.Transform{encr(message.EncrAESGCM16, 256)}}
	s, c, err = Select(DefaultESP(), &message.SA{Proposals: []message.Proposal{bare}})
	require.NoError(t, err)
	require.Len(t, c.Transforms, 1)
	require.False(t, s.ESN)
	bare.Transforms = append(bare.Transforms, integ(0), kex(0), esn(0))
	_, c, err = Select(DefaultESP(), &message.SA{Proposals: []message.Proposal{bare}})
	require.NoError(t, err)
	require.Len(t, c.Transforms, 4)
	// One that insists on an unknown transform type.
	bare.Transforms = append(bare.Transforms, message.Transform{Type: 99, ID: 1})
	_, _, err = Select(DefaultESP(), &message.SA{Proposals: []message.Proposal{bare}})
	require.ErrorIs(t, err, ErrNoProposal)
	require.ErrorContains(t, err, "TRANSFORM_99_1")
}

func TestTransformNames(t *testing.T) {
	require.Equal(t, "3DES_CBC", transformName(encr(message.Encr3DES, 0)))
	require.Equal(t, "CAMELLIA_CBC_256", transformName(encr(message.EncrCamelliaCBC, 256)))
	require.Equal(t, "ENCRYPTION_ALGORITHM_77_128", transformName(encr(77, 128)))
	require.Equal(t, "KE1_ML_KEM_768", transformName(message.Transform{Type: message.ADDKE1, ID: 36}))
}

func FuzzParseProposal(f *testing.F) {
	f.Add("aes256-sha256-modp2048")
	f.Add("default")
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range []message.ProtocolID{message.ProtocolIKE, message.ProtocolESP} {
			if ps, err := ParseProposal(p, s); err == nil {
				if _, _, err := Select(ps, SAPayload(ps, nil)); err != nil {
					t.Fatalf("%q does not agree with itself: %v", s, err)
				}
			}
		}
	})
}

// Of every name that strongSwan 6 knows, it is implemented or refused with its name.
func TestKeywordsOfStrongSwan(t *testing.T) {
	sizes := func(format string) (out []string) {
		for _, bits := range []string{"128", "192", "256"} {
			out = append(out, strings.ReplaceAll(format, "N", bits))
		}
		return out
	}
	var have, lack []string
	for _, f := range []string{"aesN", "aesNctr", "aesNccm8", "aesNccm64", "aesNccm12", "aesNccm96", "aesNccm16", "aesNccm128", "aesNccm",
		"aesNgcm8", "aesNgcm64", "aesNgcm12", "aesNgcm96", "aesNgcm16", "aesNgcm128", "aesNgcm"} {
		have = append(have, sizes(f)...)
	}
	have = append(have, strings.Fields(`aes chacha20poly1305 chacha20poly1305compat sha sha1 sha256 sha2_256 sha384 sha2_384 sha512 sha2_512
		aesxcbc aescmac prfsha1 prfsha256 prfsha384 prfsha512 prfaesxcbc prfaescmac none modpnone modp1024 modp1536 modp2048 modp3072
		modp4096 modp6144 modp8192 ecp256 ecp384 ecp521 curve25519 x25519 mlkem768 mlkem1024 noesn esn ke1_mlkem768 ke7_x25519`)...)
	for _, f := range []string{"aesNgmac", "blowfishN", "camelliaN", "camelliaNctr", "camelliaNccm16", "serpentN", "twofishN"} {
		lack = append(lack, sizes(f)...)
	}
	lack = append(lack, strings.Fields(`null des 3des blowfish camellia cast128 serpent twofish sha1_160 sha256_96 sha2_256_96 md5 md5_128
		camelliaxcbc prfmd5 prfcamelliaxcbc modpnull modp768 ecp192 ecp224 modp1024s160 modp2048s224 modp2048s256 ecp224bp ecp256bp
		ecp384bp ecp512bp curve448 x448 gost256 gost512 mlkem512 ke2_mlkem512`)...)
	for _, w := range have {
		tr, err := keyword(w)
		require.NoError(t, err, w)
		require.True(t, supported(tr) || optional(tr.Type) && tr.ID == 0, w)
	}
	for _, w := range lack {
		_, err := keyword(w)
		require.ErrorContains(t, err, "is not implemented", w)
	}
}
