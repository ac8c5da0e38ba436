package ike

import (
	"context"
	gocrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
)

// fakeVerifier knows the key of one identity.
type fakeVerifier struct {
	id   string
	keys []gocrypto.PublicKey
	got  *PeerCertificates
}

func (v *fakeVerifier) Verify(_ context.Context, p PeerCertificates) ([]gocrypto.PublicKey, error) {
	v.got = &p
	switch {
	case p.ID.String() != v.id:
		return nil, errors.New("its certificate is for somebody else")
	}
	return v.keys, nil
}

func newSigner(t testing.TB, kind string) gocrypto.Signer {
	t.Helper()
	var k gocrypto.Signer
	var err error
	switch kind {
	case "rsa":
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		k, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	}
	require.NoError(t, err)
	return k
}

const moon = "moon.strongswan.org"

// signed makes both ends sign.
func signed(c *Config, r *responder, own, theirs gocrypto.Signer) *fakeVerifier {
	v := &fakeVerifier{id: moon, keys: []gocrypto.PublicKey{theirs.Public()}}
	c.LocalRounds[0].Credentials = []Credential{{Key: own, Certs: [][]byte{[]byte("leaf"), []byte("intermediate")}, Authorities: [][]byte{authority('a')}}}
	c.RemoteRounds[0].Method, c.RemoteRounds[0].Verifier = RemotePubkey, v
	r.own = []gwRound{{key: theirs, certs: [][]byte{[]byte("moon")}}}
	r.client = []clientRound{{pub: own.Public()}}
	return v
}

func authority(b byte) []byte {
	h := make([]byte, 20)
	h[0] = b
	return h
}

func TestPSK(t *testing.T) {
	psk := []byte("ThisIsAPSK")
	both := func(c *Config, r *responder, _ *fakeEAP) {
		c.LocalRounds[0].PSK = psk
		c.RemoteRounds[0].Method = RemotePSK
		c.RemoteRounds[0].PSK = func(id Identity) ([]byte, error) {
			require.Equal(t, moon, id.String())
			return psk, nil
		}
		r.own, r.client = []gwRound{{psk: psk}}, []clientRound{{psk: psk}}
	}
	n := newNetwork(t, both)
	n.start()
	n.established()
	require.Equal(t, []string{
		"IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) ]",
		"IKE_AUTH request 1 [ IDi N(INIT_CONTACT) IDr AUTH SA TSi TSr N(MOBIKE_SUP) ]",
	}, n.r.seen, "two exchanges, as with strongSwan")
	require.Contains(t, n.log.String(), "[IKE] authentication of 'moon.strongswan.org' with pre-shared key successful\n")

	for name, edit := range map[string]func(*Config, *responder){
		"the gateway's is another":   func(_ *Config, r *responder) { r.own[0].psk = []byte("other") },
		"it signs instead":           func(_ *Config, r *responder) { r.own = []gwRound{{key: newSigner(t, "p256")}} },
		"it proves nothing":          func(_ *Config, r *responder) { r.own = nil },
		"it is another than we want": func(_ *Config, r *responder) { r.own[0].id = "sun.strongswan.org" },
		"none for it": func(c *Config, _ *responder) {
			c.RemoteRounds[0].PSK = func(Identity) ([]byte, error) { return nil, errors.New("no key") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(c *Config, r *responder, e *fakeEAP) { both(c, r, e); edit(c, r) })
			n.start()
			require.ErrorIs(t, n.failure(), ErrGatewayAuth)
			require.Equal(t, message.AuthenticationFailed, n.r.lastNotified, "the gateway is notified")
		})
	}
	n = newNetwork(t, func(c *Config, r *responder, e *fakeEAP) { both(c, r, e); c.LocalRounds[0].PSK = []byte("wrong") })
	n.start()
	require.ErrorIs(t, n.failure(), ErrAuthFailed)
	require.Equal(t, &AuthRefusedError{Method: LocalPSK}, n.failure())
}

func TestSignatures(t *testing.T) {
	for _, kind := range []string{"rsa", "p256", "p384", "p521", "ed25519"} {
		own, theirs := newSigner(t, kind), newSigner(t, kind)
		for _, c := range []struct {
			name           string
			pss, noHashes  bool
			scheme, theirs signature.Scheme
		}{{name: "RFC 7427"}, {name: "PSS", pss: true}, {name: "classic", noHashes: true}} {
			if kind == "ed25519" && c.noHashes || kind != "rsa" && c.pss {
				continue
			}
			t.Run(kind+" "+c.name, func(t *testing.T) {
				var v *fakeVerifier
				n := newNetwork(t, func(cfg *Config, r *responder, _ *fakeEAP) {
					v = signed(cfg, r, own, theirs)
					cfg.LocalRounds[0].Signature.PSS, r.own[0].pss, r.noHashes = c.pss, c.pss, c.noHashes
					cfg.Authentication.SHA1 = c.noHashes
				})
				n.start()
				n.established()
				require.Equal(t, c.pss, n.r.clientScheme.PSS)
				require.Equal(t, [][]byte{[]byte("moon")}, v.got.Certs)
				require.Equal(t, [][]byte{[]byte("crl")}, v.got.CRLs)
				require.Equal(t, [][]byte{[]byte("ocsp")}, v.got.OCSP)
				require.Equal(t, n.now, v.got.Now)
				require.Len(t, n.r.seen, 2)
			})
		}
	}
}

// Without RFC 7427 nothing of it is announced, used or accepted.
func TestClassicSignatures(t *testing.T) {
	own, theirs := newSigner(t, "p256"), newSigner(t, "p256")
	run := func(noHashes bool) *network {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
			signed(c, r, own, theirs)
			c.Authentication.ClassicSignatures, r.noHashes = true, noHashes
		})
		n.start()
		require.NotContains(t, n.r.seen[0], "HASH_ALG")
		require.Nil(t, n.m.auth.peer.hashes)
		return n
	}
	run(true).established()
	err := run(false).failure()
	require.ErrorIs(t, err, ErrGatewayAuth)
	require.ErrorContains(t, err, "RFC 7427")
}

// Signatures over SHA-1 are neither accepted nor made unless that is allowed.
func TestSHA1Signatures(t *testing.T) {
	rsa, p256 := newSigner(t, "rsa"), newSigner(t, "p256")
	run := func(own, theirs gocrypto.Signer, allowed bool) *network {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
			signed(c, r, own, theirs)
			c.Authentication.SHA1, r.noHashes = allowed, true
		})
		n.start()
		return n
	}
	run(rsa, rsa, true).established()
	run(p256, p256, false).established()
	err := run(p256, rsa, false).failure()
	require.ErrorIs(t, err, ErrGatewayAuth)
	require.ErrorIs(t, err, signature.ErrSHA1)
	require.ErrorContains(t, err, "it signed with RSA_EMSA_PKCS1_SHA1")
	err = run(rsa, p256, false).failure()
	require.ErrorIs(t, err, signature.ErrSHA1)
	require.ErrorContains(t, err, "our RSA key would have to sign with RSA_EMSA_PKCS1_SHA1")
}

func TestOwnCertificate(t *testing.T) {
	own, other, theirs := newSigner(t, "p256"), newSigner(t, "p256"), newSigner(t, "p256")
	run := func(edit func(*Config, *responder)) *network {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
			signed(c, r, own, theirs)
			edit(c, r)
		})
		n.start()
		n.established()
		return n
	}
	n := run(func(*Config, *responder) {})
	require.Empty(t, n.r.clientCerts, "nobody asked")
	n = run(func(c *Config, _ *responder) { c.Authentication.SendCert = SendCertAlways })
	require.Equal(t, [][]byte{[]byte("leaf"), []byte("intermediate")}, n.r.clientCerts, "ours first")
	require.Contains(t, n.r.seen[1], "[ IDi CERT CERT N(INIT_CONTACT) IDr AUTH SA")
	n = run(func(_ *Config, r *responder) { r.certReq = [][]byte{authority('x')} })
	require.Len(t, n.r.clientCerts, 2, "asked for another CA's: the only one we have")
	n = run(func(c *Config, r *responder) {
		c.Authentication.SendCert, r.certReq = SendCertNever, [][]byte{authority('a')}
	})
	require.Empty(t, n.r.clientCerts)
	n = run(func(c *Config, r *responder) {
		c.LocalRounds[0].Credentials = append([]Credential{{Key: other, Certs: [][]byte{[]byte("other")}, Authorities: [][]byte{authority('b')}}}, c.LocalRounds[0].Credentials...)
		r.certReq = [][]byte{authority('x'), authority('a')}
	})
	require.Equal(t, "leaf", string(n.r.clientCerts[0]), "the one under a CA that was asked for")
	n = run(func(c *Config, _ *responder) {
		c.Authentication.SendCertReq, c.Authentication.CertReqKeys, c.Authentication.RequestOCSP = true, [][]byte{authority('m')}, true
	})
	require.Contains(t, n.r.seen[1], "IDi N(INIT_CONTACT) CERTREQ CERTREQ IDr AUTH")
	for _, asked := range []bool{true, false} {
		n = run(func(c *Config, r *responder) {
			r.certReq, r.ocspReq = [][]byte{authority('a')}, asked
			c.LocalRounds[0].Credentials[0].OCSP = func(context.Context) [][]byte { return [][]byte{[]byte("status")} }
		})
		require.Equal(t, asked, len(n.r.clientOCSP) == 1)
		require.Len(t, n.r.clientCerts, 2)
	}
}

func TestGatewaySignatureRefused(t *testing.T) {
	own, theirs := newSigner(t, "p256"), newSigner(t, "rsa")
	pss, err := signature.ParseConstraints("ike:rsa/pss-sha256")
	require.NoError(t, err)
	for name, edit := range map[string]func(*Config, *responder, *fakeVerifier){
		"wrong signature":  func(_ *Config, r *responder, _ *fakeVerifier) { r.badSig = true },
		"none":             func(_ *Config, r *responder, _ *fakeVerifier) { r.own = nil },
		"a shared key":     func(_ *Config, r *responder, _ *fakeVerifier) { r.own = []gwRound{{psk: []byte("x")}} },
		"another identity": func(_ *Config, r *responder, _ *fakeVerifier) { r.own[0].id = "sun.strongswan.org" },
		"of another name":  func(c *Config, r *responder, v *fakeVerifier) { v.id = "sun.strongswan.org" },
		"not allowed":      func(c *Config, _ *responder, _ *fakeVerifier) { c.RemoteRounds[0].Constraints = pss },
		"with another key": func(_ *Config, _ *responder, v *fakeVerifier) { v.keys = []gocrypto.PublicKey{own.Public()} },
		"without any key":  func(_ *Config, _ *responder, v *fakeVerifier) { v.keys = nil },
		"one round too few": func(c *Config, _ *responder, _ *fakeVerifier) {
			c.RemoteRounds = append(c.RemoteRounds, c.RemoteRounds[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) { edit(c, r, signed(c, r, own, theirs)) })
			n.start()
			require.ErrorIs(t, n.failure(), ErrGatewayAuth)
			_, ok := event[Established](n)
			require.False(t, ok)
		})
	}
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		signed(c, r, own, theirs)
		r.own[0].pss = true
		c.RemoteRounds[0].Constraints = pss
	})
	n.start()
	n.established()
	n = newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		signed(c, r, own, theirs).id = "192.0.2.1"
		r.own[0].id, c.RemoteRounds[0].Loose = "192.0.2.1", true
	})
	n.start()
	n.established()
	require.NotContains(t, n.r.seen[1], "IDr")
}

func TestVerifierAnswersLater(t *testing.T) {
	own, theirs := newSigner(t, "p256"), newSigner(t, "p256")
	for _, ends := range []string{"well", "refused", "too late"} {
		t.Run(ends, func(t *testing.T) {
			n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) { signed(c, r, own, theirs) })
			n.hold, n.signs = true, true
			n.start()
			require.False(t, n.m.Done())
			require.Equal(t, n.now.Add(DefaultEstablishTimeout), n.m.NextDeadline(), "nothing is retransmitted meanwhile")
			keys := []gocrypto.PublicKey{theirs.Public()}
			require.Len(t, n.work, 1)
			work := n.work[0].(*VerifyRequest)
			switch ends {
			case "well":
				n.now = n.now.Add(time.Second)
				n.run(n.m.Resume(n.now, work.Answer(keys, nil)))
				n.established()
			case "refused":
				n.run(n.m.Resume(n.now, work.Answer(nil, errors.New("its certificate was revoked"))))
				require.ErrorIs(t, n.failure(), ErrGatewayAuth)
				require.ErrorContains(t, n.failure(), "revoked")
			case "too late":
				n.wait()
				require.ErrorIs(t, n.failure(), ErrTimeout)
				require.Empty(t, n.m.Resume(n.now, work.Answer(keys, nil)))
			}
		})
	}
}

// The gateway signs, then EAP authenticates us: with a key, and without one.
func TestSignatureThenEAP(t *testing.T) {
	theirs := newSigner(t, "rsa")
	for _, keyed := range []bool{true, false} {
		n := newNetwork(t, func(c *Config, r *responder, e *fakeEAP) {
			c.RemoteRounds[0].Method, c.RemoteRounds[0].Verifier = RemotePubkey, &fakeVerifier{id: moon, keys: []gocrypto.PublicKey{theirs.Public()}}
			r.own = []gwRound{{key: theirs}}
			if !keyed {
				e.msk, r.msk = nil, nil
			}
		})
		n.start()
		n.established()
		require.NotContains(t, n.r.seen[1], "EAP_ONLY")
	}
}

// EAP methods that show the password, or a hash of it, run after the gateway's
// proof only.
func TestPasswordOnlyAfterProof(t *testing.T) {
	theirs := newSigner(t, "p256")
	for _, typ := range []byte{4, 6, 26} {
		n := newNetwork(t, func(_ *Config, _ *responder, e *fakeEAP) { e.typ = typ })
		n.start()
		require.ErrorIs(t, n.failure(), ErrGatewayAuth)
		for _, s := range n.r.seen[2:] {
			require.NotContains(t, s, "EAP/RES")
		}
		n = newNetwork(t, func(c *Config, r *responder, e *fakeEAP) {
			c.RemoteRounds[0].Method, c.RemoteRounds[0].Verifier = RemotePubkey, &fakeVerifier{id: moon, keys: []gocrypto.PublicKey{theirs.Public()}}
			r.own, e.typ = []gwRound{{key: theirs}}, typ
		})
		n.start()
		n.established()
	}
}

// RFC 4739: a signature, then EAP, then a preshared key, and two rounds of the
// gateway.
func TestSeveralRounds(t *testing.T) {
	own, theirs := newSigner(t, "p256"), newSigner(t, "rsa")
	psk := []byte("ThisIsAPSK")
	rounds := func(c *Config, r *responder, e *fakeEAP) {
		signed(c, r, own, theirs)
		id, _ := ParseIdentity("carol-eap")
		c.LocalRounds = append(c.LocalRounds, LocalRound{ID: id, EAP: e}, LocalRound{ID: c.LocalRounds[0].ID, PSK: psk})
		c.RemoteRounds = append(c.RemoteRounds, RemoteRound{ID: Identity{}, Method: RemotePSK, PSK: func(Identity) ([]byte, error) { return psk, nil }})
		r.own = append(r.own, gwRound{id: "second.strongswan.org", psk: psk})
		r.client = append(r.client, clientRound{}, clientRound{psk: psk})
		r.multi = true
	}
	n := newNetwork(t, rounds)
	n.start()
	e, _ := n.established()
	require.Equal(t, "second.strongswan.org", e.RemoteID.String())
	require.Equal(t, []string{
		"IKE_AUTH request 1 [ IDi N(INIT_CONTACT) IDr AUTH N(AUTH_FOLLOWS) SA TSi TSr N(MOBIKE_SUP) N(MULT_AUTH) ]",
		"IKE_AUTH request 2 [ IDi ]",
		"IKE_AUTH request 3 [ EAP/RES/TTLS ]",
		"IKE_AUTH request 4 [ EAP/RES/TTLS ]",
		"IKE_AUTH request 5 [ EAP/RES/TTLS ]",
		"IKE_AUTH request 6 [ AUTH N(AUTH_FOLLOWS) ]",
		"IKE_AUTH request 7 [ IDi AUTH ]",
	}, n.r.seen[1:])

	n = newNetwork(t, func(c *Config, r *responder, e *fakeEAP) { rounds(c, r, e); r.multi = false })
	n.start()
	require.ErrorContains(t, n.failure(), "RFC 4739")

	n = newNetwork(t, func(c *Config, r *responder, e *fakeEAP) {
		rounds(c, r, e)
		c.RemoteRounds = c.RemoteRounds[:1]
	})
	n.start()
	require.ErrorContains(t, n.failure(), "round 2")

	n = newNetwork(t, func(c *Config, r *responder, e *fakeEAP) {
		rounds(c, r, e)
		r.own[1].psk = []byte("wrong")
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
}

// A gateway with more rounds than ours is waited for, but not for ever.
func TestGatewayRoundsAlone(t *testing.T) {
	theirs := newSigner(t, "p256")
	psk := []byte("k")
	run := func(rounds int) *network {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
			c.LocalRounds[0].PSK = psk
			r.client, r.multi = []clientRound{{psk: psk}}, true
			for range rounds {
				r.own = append(r.own, gwRound{key: theirs})
			}
			c.RemoteRounds = nil
			for range rounds {
				c.RemoteRounds = append(c.RemoteRounds, RemoteRound{Method: RemotePubkey, Verifier: &fakeVerifier{id: moon, keys: []gocrypto.PublicKey{theirs.Public()}}})
			}
		})
		n.start()
		return n
	}
	n := run(3)
	n.established()
	require.Equal(t, "IKE_AUTH request 2 [ ]", n.r.seen[2])
	require.ErrorIs(t, run(maxIdleAuth+3).failure(), ErrProtocol)
}

func TestPPK(t *testing.T) {
	psk, ppk := []byte("psk"), []byte("0123456789abcdef0123456789abcdef")
	base := func(c *Config, r *responder, required bool) {
		c.LocalRounds[0].PSK = psk
		c.RemoteRounds[0].Method, c.RemoteRounds[0].PSK = RemotePSK, func(Identity) ([]byte, error) { return psk, nil }
		r.own, r.client = []gwRound{{psk: psk}}, []clientRound{{psk: psk}}
		c.Authentication.PPK = &PPK{ID: []byte("ppk-id"), Key: ppk, Required: required}
	}
	run := func(required bool, edit func(*Config, *responder)) *network {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) { base(c, r, required); edit(c, r) })
		n.start()
		return n
	}
	n := run(true, func(_ *Config, r *responder) { r.ppk = ppk })
	n.established()
	require.True(t, n.r.ppkUsed)
	require.Contains(t, n.r.seen[0], "N(USE_PPK)")
	require.Contains(t, n.r.seen[1], "AUTH N(PPK_ID) SA")
	require.Equal(t, n.r.keys.D, n.m.sas.current.keys.D, "SK_d' is in force")
	n = run(false, func(_ *Config, r *responder) { r.ppk = ppk })
	n.established()
	require.True(t, n.r.ppkUsed)
	require.Contains(t, n.r.seen[1], "AUTH N(PPK_ID) N(NO_PPK) SA")
	n = run(false, func(_ *Config, r *responder) { r.ppkDeaf = true })
	n.established()
	require.False(t, n.r.ppkUsed, "the gateway does not know this one")
	n = run(false, func(_ *Config, _ *responder) {})
	n.established()
	require.NotContains(t, n.r.seen[1], "PPK")

	require.ErrorIs(t, run(true, func(_ *Config, _ *responder) {}).failure(), ErrPPK)
	require.ErrorIs(t, run(true, func(_ *Config, r *responder) { r.ppkDeaf = true }).failure(), ErrAuthFailed, "it cannot verify AUTH")
	require.ErrorIs(t, run(true, func(_ *Config, r *responder) { r.ppk = []byte("another PPK") }).failure(), ErrAuthFailed)
}

// With EAP the PPK comes in with the last pair of AUTH (RFC 8784 section 3).
func TestPPKWithEAP(t *testing.T) {
	ppk := []byte("0123456789abcdef0123456789abcdef")
	for _, theirs := range []gocrypto.Signer{nil, newSigner(t, "p256")} {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
			c.Authentication.PPK = &PPK{ID: []byte("ppk-id"), Key: ppk, Required: true}
			r.ppk = ppk
			if theirs != nil {
				c.RemoteRounds[0].Method, c.RemoteRounds[0].Verifier = RemotePubkey, &fakeVerifier{id: moon, keys: []gocrypto.PublicKey{theirs.Public()}}
				r.own = []gwRound{{key: theirs}}
			}
		})
		n.start()
		n.established()
		require.Equal(t, "IKE_AUTH request 5 [ AUTH N(PPK_ID) ]", n.r.seen[5])
		require.True(t, n.r.ppkUsed)
	}
}

// The IKE_SA stays although the gateway refuses the CHILD_SA, in the very first
// IKE_AUTH response too.
func TestPSKChildRefused(t *testing.T) {
	psk := []byte("k")
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		c.LocalRounds[0].PSK = psk
		c.RemoteRounds[0].Method, c.RemoteRounds[0].PSK = RemotePSK, func(Identity) ([]byte, error) { return psk, nil }
		r.own, r.client, r.childErr = []gwRound{{psk: psk}}, []clientRound{{psk: psk}}, message.TSUnacceptable
	})
	n.start()
	f, ok := event[ChildFailed](n)
	require.True(t, ok)
	require.ErrorIs(t, f.Err, ErrChild)
	require.False(t, n.m.Done())
}
