package ike

import (
	"context"
	gocrypto "crypto"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/signature"
)

// slowKey counts its signatures; a Machine must not make one itself.
type slowKey struct {
	gocrypto.Signer
	signs int
	err   error
}

func (k *slowKey) Sign(r io.Reader, digest []byte, o gocrypto.SignerOpts) ([]byte, error) {
	k.signs++
	if k.err != nil {
		return nil, k.err
	}
	return k.Signer.Sign(r, digest, o)
}

// signs is a network in which the key of our end answers later.
func signs(t *testing.T, kind string, edit func(*Config, *responder)) (*network, *slowKey) {
	own, theirs := &slowKey{Signer: newSigner(t, kind)}, newSigner(t, "p256")
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		signed(c, r, own, theirs)
		if edit != nil {
			edit(c, r)
		}
	})
	n.hold = true
	n.start()
	return n, own
}

// No call of a Machine signs: the signature is a Work, and whoever carries it out
// hands it in. Meanwhile time passes, and the IKE_SA can be ended.
func TestSignatureIsWork(t *testing.T) {
	for _, kind := range []string{"rsa", "p256", "p384", "p521", "ed25519"} {
		t.Run(kind, func(t *testing.T) {
			n, own := signs(t, kind, nil)
			require.Zero(t, own.signs)
			require.Len(t, n.work, 1)
			work := n.work[0].(*SignRequest)
			require.Len(t, work.Plans, 1)
			require.Len(t, n.r.seen, 1, "IKE_AUTH waits for the signature")
			require.Equal(t, n.now.Add(signTimeout), n.m.NextDeadline())
			n.now = n.now.Add(signTimeout / 2)
			n.run(n.m.Tick(n.now))
			require.Len(t, n.r.seen, 1)
			r := work.Do(t.Context())
			require.Equal(t, 1, own.signs)
			n.hold = false
			n.run(n.m.Resume(n.now, r))
			n.established()
			require.Empty(t, n.m.Resume(n.now, r), "once")
		})
	}
}

// Gateways without RFC 7427 get the signatures of RFC 4754.
func TestClassicSignatureIsWork(t *testing.T) {
	for _, kind := range []string{"p256", "p384", "p521"} {
		n, _ := signs(t, kind, func(c *Config, r *responder) { c.Authentication.ClassicSignatures, r.noHashes = true, true })
		n.hold = false
		n.run(n.m.Resume(n.now, n.work[0].Do(t.Context())))
		n.established()
	}
}

// A PPK that the gateway may do without takes two signatures, another one.
func TestSignaturesWithPPK(t *testing.T) {
	for required, want := range map[bool]int{true: 1, false: 2} {
		n, own := signs(t, "p256", func(c *Config, r *responder) {
			c.Authentication.PPK = &PPK{ID: []byte("ppk-id"), Key: []byte("secret"), Required: required}
			r.ppk = []byte("secret")
		})
		require.Len(t, n.work[0].(*SignRequest).Plans, want)
		n.hold = false
		n.run(n.m.Resume(n.now, n.work[0].Do(t.Context())))
		n.established()
		require.Equal(t, want, own.signs)
	}
}

// A key that does not sign, or not in time, ends the IKE_SA with its reason, without
// a packet; what comes later is dropped.
func TestSignatureFails(t *testing.T) {
	locked := errors.New("the TPM is locked")
	for name, end := range map[string]func(n *network, r *SignRequest){
		"refused":  func(n *network, r *SignRequest) { n.run(n.m.Resume(n.now, r.Do(context.Background()))) },
		"too late": func(n *network, _ *SignRequest) { n.now = n.now.Add(signTimeout); n.run(n.m.Tick(n.now)) },
		"too few":  func(n *network, r *SignRequest) { n.run(n.m.Resume(n.now, r.Answer([][]byte{}, nil))) },
		"none r s": func(n *network, r *SignRequest) { n.run(n.m.Resume(n.now, r.Answer([][]byte{{1}}, nil))) },
	} {
		t.Run(name, func(t *testing.T) {
			n, own := signs(t, "p256", func(c *Config, r *responder) { c.Authentication.ClassicSignatures, r.noHashes = true, true })
			own.err = locked
			work := n.work[0].(*SignRequest)
			end(n, work)
			require.ErrorIs(t, n.failure(), ErrSignature)
			if name == "refused" {
				require.ErrorIs(t, n.failure(), locked)
			}
			require.True(t, n.m.Done())
			require.Len(t, n.r.seen, 1, "the gateway hears nothing")
			require.Empty(t, n.m.Resume(n.now, work.Answer([][]byte{{1}}, nil)))
		})
	}
}

// In a later round the gateway is told that there will be none.
func TestSignatureFailsInALaterRound(t *testing.T) {
	own, theirs := &slowKey{Signer: newSigner(t, "p256"), err: errors.New("it is locked")}, newSigner(t, "p256")
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		signed(c, r, newSigner(t, "p256"), theirs)
		c.LocalRounds = append(c.LocalRounds, LocalRound{ID: c.LocalRounds[0].ID, Credentials: []Credential{{Key: own}}})
		r.multi = true
		r.client = []clientRound{{pub: c.LocalRounds[0].Credentials[0].Key.Public()}, {pub: own.Public()}}
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrSignature)
	require.Equal(t, 1, own.signs)
}

// What a key cannot make is not asked of it.
func TestKeyWithItsOwnScheme(t *testing.T) {
	pss := signature.Scheme{Key: signature.RSA, PSS: true, Hash: signature.SHA384}
	n, _ := signs(t, "rsa", func(c *Config, _ *responder) {
		c.LocalRounds[0].Credentials[0].Schemes = []signature.Scheme{pss}
		c.LocalRounds[0].Signature.PSS = true
	})
	plan := n.work[0].(*SignRequest).Plans[0]
	require.Equal(t, pss, plan.Scheme)
	require.Len(t, plan.Digest, 48)
	n.hold = false
	n.run(n.m.Resume(n.now, n.work[0].Do(t.Context())))
	n.established()
	n, _ = signs(t, "p256", func(c *Config, r *responder) {
		c.LocalRounds[0].Credentials[0].Schemes = []signature.Scheme{{Key: signature.ECDSA, Hash: signature.SHA1}}
	})
	require.ErrorIs(t, n.failure(), signature.ErrNoCommonScheme)
	require.ErrorContains(t, n.failure(), "[ECDSA_WITH_SHA1_DER] only")
}
