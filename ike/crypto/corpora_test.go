package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"errors"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/corpora"
)

var errDiffers = errors.New("another result")

// TestCorporaKeyExchanges takes Wycheproof's public keys as those of a peer.
func TestCorporaKeyExchanges(t *testing.T) {
	for file, m := range map[string]message.KEMethod{
		"ecdh_secp256r1_ecpoint": message.KEECP256, "ecdh_secp384r1_ecpoint": message.KEECP384, "ecdh_secp521r1_ecpoint": message.KEECP521,
	} {
		curve := curves[m]
		corpora.Wycheproof(t, file, nil, func(_ *corpora.Group, c *corpora.Test) error {
			// IKE knows points without the octet 4 alone (RFC 5903); what has another form
			// cannot be sent.
			if len(c.Public) == 0 || c.Public[0] != 4 {
				return corpora.ErrNotOurs
			}
			private := make([]byte, curve.size)
			copy(private[max(0, curve.size-len(c.Private)):], c.Private[max(0, len(c.Private)-curve.size):])
			return shared(m, curve.curve, private, c.Public[1:], c.Shared)
		})
	}
	corpora.Wycheproof(t, "x25519", nil, func(_ *corpora.Group, c *corpora.Test) error {
		return shared(message.KECurve25519, ecdh.X25519(), c.Private, c.Public, c.Shared)
	})
}

func shared(m message.KEMethod, curve ecdh.Curve, private, public, want []byte) error {
	k, err := curve.NewPrivateKey(private)
	if err != nil {
		return err
	}
	got, err := (&ecExchange{method: m, curve: curve, key: k}).Shared(public)
	if err == nil && !bytes.Equal(got, want) {
		return errDiffers
	}
	return err
}

func TestCorporaMLKEM(t *testing.T) {
	for file, m := range map[string]message.KEMethod{"mlkem_768": message.KEMLKEM768, "mlkem_1024": message.KEMLKEM1024} {
		corpora.Wycheproof(t, file, nil, func(_ *corpora.Group, c *corpora.Test) error {
			public, decapsulate, err := mlkemGroups[m].generate(c.Seed)
			if err != nil {
				return err
			}
			if len(c.EK) > 0 && !bytes.Equal(public, c.EK) {
				return errDiffers
			}
			got, err := (&mlkemExchange{method: m, decapsulate: decapsulate}).Shared(c.C)
			if err == nil && !bytes.Equal(got, c.K) {
				return errDiffers
			}
			return err
		})
		// Of a valid key the secret cannot be compared: our randomness is not theirs.
		corpora.Wycheproof(t, file+"_encaps", nil, func(_ *corpora.Group, c *corpora.Test) error {
			_, _, err := RespondKE(m, nil, c.EK)
			return err
		})
	}
}

// TestCorporaCiphers opens Wycheproof's packets with the ciphers that IKE and ESP
// are made of, where they have the lengths that IPsec has.
func TestCorporaCiphers(t *testing.T) {
	gcm := func(key []byte, _ int) (cipher.AEAD, error) {
		b, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(b)
	}
	for file, c := range map[string]struct {
		nonce int
		aead  func(key []byte, icv int) (cipher.AEAD, error)
	}{
		"aes_gcm": {12, gcm},
		"aes_ccm": {ccmNonce, func(key []byte, icv int) (cipher.AEAD, error) {
			b, err := aes.NewCipher(key)
			return &ccm{b, icv}, err
		}},
		"chacha20_poly1305": {12, func(key []byte, _ int) (cipher.AEAD, error) { return chacha20poly1305.New(key) }},
	} {
		corpora.Wycheproof(t, file, nil, func(g *corpora.Group, v *corpora.Test) error {
			if g.IVSize != 8*c.nonce || g.TagSize%8 != 0 || g.TagSize > 128 || file == "aes_gcm" && g.TagSize != 128 {
				return corpora.ErrNotOurs
			}
			aead, err := c.aead(v.Key, g.TagSize/8)
			if err != nil {
				return err
			}
			out, err := aead.Open(nil, v.IV, append(bytes.Clone(v.CT), v.Tag...), v.AAD)
			switch {
			case err != nil:
				return err
			case !bytes.Equal(out, v.Message), !bytes.Equal(aead.Seal(nil, v.IV, v.Message, v.AAD), append(bytes.Clone(v.CT), v.Tag...)):
				return errDiffers
			}
			return nil
		})
	}
}

// TestCorporaMACs computes Wycheproof's MACs with the PRFs of IKE and AES-CMAC.
func TestCorporaMACs(t *testing.T) {
	for file, id := range map[string]uint16{
		"hmac_sha1": message.PRFHMACSHA1, "hmac_sha256": message.PRFHMACSHA256, "hmac_sha384": message.PRFHMACSHA384, "hmac_sha512": message.PRFHMACSHA512,
	} {
		prf, err := NewPRF(id)
		if err != nil {
			t.Fatal(err)
		}
		corpora.Wycheproof(t, file, nil, func(g *corpora.Group, v *corpora.Test) error {
			return sameMAC(prf.Sum(v.Key, v.Message), v.Tag, g.TagSize)
		})
	}
	corpora.Wycheproof(t, "aes_cmac", nil, func(g *corpora.Group, v *corpora.Test) error {
		if len(v.Key) != 16 {
			return corpora.ErrNotOurs
		}
		m := newCMAC(v.Key)
		m.Write(v.Message)
		return sameMAC(m.Sum(nil), v.Tag, g.TagSize)
	})
}

func sameMAC(got, want []byte, bits int) error {
	if n := bits / 8; n > len(got) || !bytes.Equal(got[:n], want) {
		return errDiffers
	}
	return nil
}
