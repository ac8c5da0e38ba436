package profile

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/trust"
)

// Builder makes the configurations of a connection's IKE_SAs. It opens private
// keys and trusted certificates once, and keeps CRLs and OCSP responses between
// IKE_SAs.
type Builder struct {
	*Profile
	logger  *slog.Logger
	session tnc.Session

	opened      sync.Once         // of the two
	tokens      *tpmkey.Keys      // keys in the TPM; see store
	credentials *credential.Store // see store
	trust       *trust.Store      // see trusted
}

// NewBuilder returns a Builder for p, which has a connection. session attests
// inside EAP; logger nil discards.
func NewBuilder(p *Profile, session tnc.Session, logger *slog.Logger) *Builder {
	return &Builder{Profile: p, session: session, logger: logger}
}

// Prepare begins to open the private keys, those in a TPM above all, so that Config
// waits for less. The Profile must not change any more.
func (b *Builder) Prepare() { go b.store() }

// Close takes keys out of the TPM. No other method may be called after it.
func (b *Builder) Close() {
	b.opened.Do(func() {})
	if b.tokens != nil {
		b.tokens.Close()
	}
}

func (b *Builder) group(name string) *slog.Logger { return log.Group(b.logger, name) }

// Config makes the configuration of one IKE_SA, with EAP peers of its own, which
// the caller closes. local is this end's address, the identity of a preshared
// key that has no other; it may be invalid. What the peers
// fetch, and signatures of keys in a TPM, end with ctx.
func (b *Builder) Config(ctx context.Context, local netip.Addr) (cfg ike.Config, peers []*eap.Peer, err error) {
	cfg = ike.Config{
		Name:       b.Connection.Name,
		Logger:     b.logger,
		Proposals:  b.Connection.Proposals,
		VirtualIPs: ike.VirtualIPs{Wanted: b.Connection.VIPs},
		NoMOBIKE:   !b.Connection.MOBIKE,
		ForceEncap: b.Connection.Encap,
		Authentication: ike.Authentication{
			ClassicSignatures: !b.Charon.SignatureAuth,
			// Without RFC 7427 there is nothing else for RSA keys.
			SHA1: !b.Charon.SignatureAuth || settings.SHA1Signatures.In(b.Strongswan),
		},
		Fragmentation: ike.Fragmentation{
			Off:       b.Connection.Fragmentation == "no",
			MaxPacket: b.Charon.MaxPacket,
		},
		Redirects: ike.Redirects{Follow: b.Charon.FollowRedirects},
		Timers: ike.Timers{
			RekeyTime:  b.Connection.RekeyTime,
			OverTime:   b.Connection.OverTime,
			RandTime:   b.Connection.RandTime,
			ReauthTime: b.Connection.ReauthTime,
			DPDDelay:   b.Connection.DPDDelay,
		},
		Retransmission: ike.Retransmission{
			Timeout: b.Charon.RetransmitTimeout,
			Base:    b.Charon.RetransmitBase,
			Tries:   b.Charon.RetransmitTries,
			Limit:   b.Charon.RetransmitLimit,
			Jitter:  min(b.Charon.RetransmitJitter, ike.MaxRetransmitJitter), // as strongSwan
		},
	}
	if cfg.Retransmission.Tries == 0 {
		cfg.Retransmission.Tries = -1 // strongSwan's 0 means none
	}
	if err := b.childConfigs(&cfg); err != nil {
		return cfg, nil, err
	}
	if peers, err = b.rounds(ctx, &cfg, local); err == nil {
		err = checkProposals(b.Connection)
	}
	if err != nil {
		for _, p := range peers {
			p.Close()
		}
		return cfg, nil, err
	}
	return cfg, peers, nil
}
