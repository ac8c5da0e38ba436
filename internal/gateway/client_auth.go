package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/gateway/eapserver"
	"github.com/gotnc/gotnc/tnccs/server"
)

// handleAuth runs IKE_AUTH: the identity, then EAP, then AUTH (RFC 7296 section 2.16).
func (c *client) handleAuth(now time.Time, m *message.Message) {
	refuse := func(why error) {
		c.respond(m.Header, &message.Notify{NotifyType: message.AuthenticationFailed})
		c.fail(now, why)
	}
	if c.report.State != Connecting {
		c.respond(m.Header, &message.Notify{NotifyType: message.InvalidSyntax})
		return
	}
	switch {
	case c.eap == nil:
		if err := c.firstAuth(now, m); err != nil {
			refuse(err)
		}
	case !c.eapDone:
		p, ok := message.First[*message.EAP](m.Payloads)
		if !ok {
			refuse(errors.New("IKE_AUTH request without EAP payload"))
			return
		}
		packet, status, err := c.eap.Handle(p.Packet)
		c.respond(m.Header, &message.EAP{Packet: packet})
		switch status {
		case eap.StatusFailure:
			c.fail(now, fmt.Errorf("EAP: %w", err))
		case eap.StatusSuccess:
			c.eapDone = true
			log.Infof(c.g.log, "EAP method %s succeeded, MSK established", eap.TypeTTLS)
		}
	default:
		if err := c.finalAuth(now, m); err != nil {
			refuse(err)
		}
	}
}

// firstAuth answers the first IKE_AUTH request.
func (c *client) firstAuth(now time.Time, m *message.Message) error {
	idi, ok := message.First[*message.IDi](m.Payloads)
	if !ok {
		return errors.New("IKE_AUTH request without identity")
	}
	c.idi = idi.Identity
	c.report.Identity = c.idi.String()
	sa, ok1 := message.First[*message.SA](m.Payloads)
	tsi, ok2 := message.First[*message.TSi](m.Payloads)
	tsr, ok3 := message.First[*message.TSr](m.Payloads)
	if !ok1 || !ok2 || !ok3 {
		return errors.New("IKE_AUTH request without CHILD_SA")
	}
	c.wanted = &childRequest{sa: sa, tsi: tsi.Selectors, tsr: tsr.Selectors}
	c.initialContact = m.Notify(message.InitialContact) != nil
	c.mobike = c.g.cfg.MOBIKE && m.Notify(message.MOBIKESupported) != nil
	c.wanted.cp, _ = message.First[*message.CP](m.Payloads)
	identity := c.g.cfg.Identity
	if c.g.cfg.Faults.WrongIdentity != "" {
		identity = c.g.cfg.Faults.WrongIdentity
	}
	var err error
	if c.idr, err = message.ParseIdentity(identity); err != nil {
		return err
	}
	ps := []message.Payload{&message.IDr{Identity: c.idr}}
	if auth, ok := message.First[*message.Auth](m.Payloads); ok {
		shared, err := c.verifyClient(auth, m)
		if err != nil {
			return err
		}
		proof, err := c.proof(shared)
		if err != nil {
			return err
		}
		log.Infof(c.g.log, "authentication of '%s' with %s successful", c.idi, auth.Method)
		return c.establish(now, m, append(ps, proof...))
	}
	if c.g.cfg.SignAuth || m.Notify(message.EAPOnlyAuthentication) == nil {
		signed, err := c.signature()
		if err != nil {
			return err
		}
		ps = append(ps, signed...)
	}
	if err := c.startEAP(); err != nil {
		return err
	}
	packet, status := c.eap.Start()
	c.respond(m.Header, append(ps, &message.EAP{Packet: packet})...)
	switch status {
	case eap.StatusFailure:
		c.fail(now, errors.New("EAP failure, as configured"))
	case eap.StatusSuccess:
		c.eapDone = true
	}
	return nil
}

// startEAP makes the EAP server and what it hands packets to.
func (c *client) startEAP() error {
	cfg := &c.g.cfg
	v, err := imv.New(imv.Config{Policy: cfg.Policy, Logger: cfg.Logger})
	if err != nil {
		return err
	}
	var methods []eap.Type
	for _, name := range cfg.Phase2 {
		t, _ := eap.TypeFromName(name)
		methods = append(methods, t)
	}
	c.eap, err = eapserver.New(eapserver.Config{
		TLS: c.g.tlsConfig(), Users: cfg.Users, Methods: methods, FragmentSize: cfg.EAPFragmentSize, AskIdentity: cfg.AskIdentity,
		FailFirst: cfg.Faults.EAPFailure, SucceedFirst: cfg.Faults.EarlySuccess, Logger: cfg.Logger,
		NewTNC: func(string) (eapserver.TNCServer, error) {
			c.verifier = v
			verifier := NewIMV(v, cfg.Faults.ReplacePA)
			if cfg.Faults.NoRecommendation {
				verifier = undecided{verifier}
			}
			c.pb = server.New(server.Config{Logger: cfg.Logger}, verifier)
			return &rewriter{Session: c.pb, f: &cfg.Faults}, nil
		},
	})
	return err
}

// finalAuth verifies the client's AUTH, answers with ours and sets up the
// CHILD_SA.
func (c *client) finalAuth(now time.Time, m *message.Message) error {
	auth, ok := message.First[*message.Auth](m.Payloads)
	if !ok || auth.Method != message.AuthSharedKey {
		return errors.New("IKE_AUTH request without an AUTH payload of the EAP key")
	}
	msk := c.eap.MSK()
	if len(msk) == 0 {
		return errors.New("EAP derived no key")
	}
	if !crypto.VerifyShared(c.prf, msk, c.clientOctets(), auth.Data) {
		return fmt.Errorf("verification of AUTH payload with EAP MSK of '%s' failed", c.idi)
	}
	log.Infof(c.g.log, "authentication of '%s' with EAP successful", c.idi)
	own := crypto.AuthShared(c.prf, msk, c.ownOctets())
	if c.g.cfg.Faults.BadAuth {
		own[0] ^= 0x80
	}
	return c.establish(now, m, []message.Payload{&message.Auth{Method: message.AuthSharedKey, Data: own}})
}

// endOthers ends the IKE_SAs that the client no longer knows of.
func (c *client) endOthers() {
	if !c.g.cfg.Unique || !c.initialContact {
		return
	}
	for _, o := range c.g.clients {
		if o != c && !o.freed && o.report.State == Established && o.idi.String() == c.idi.String() {
			log.Infof(c.g.log, "destroying duplicate IKE_SA of '%s', received INITIAL_CONTACT", c.idi)
			o.report.State = Deleted
			c.g.replaced[o.spii] = true
			o.free()
		}
	}
}

// establish sets up the CHILD_SA and answers with it behind ps.
func (c *client) establish(now time.Time, m *message.Message, ps []message.Payload) error {
	c.endOthers()
	child, err := c.makeChild()
	if err != nil {
		log.Infof(c.g.log, "CHILD_SA of '%s' failed: %v", c.idi, err)
		var n *notifyError
		if !errors.As(err, &n) {
			return err
		}
		ps = append(ps, &message.Notify{NotifyType: n.notify})
	} else {
		ps = append(ps, child...)
	}
	if c.mobike {
		ps = append(ps, &message.Notify{NotifyType: message.MOBIKESupported})
	}
	c.report.State = Established
	log.Infof(c.g.log, "IKE_SA established between %s[%s]...%s[%s]", c.g.local.Addr(), c.idr, c.addr.Addr(), c.idi)
	c.respond(m.Header, ps...)
	f := &c.g.cfg.Faults
	if f.DeleteAfter > 0 {
		c.deleteAt = now.Add(f.DeleteAfter)
	}
	if f.DPD > 0 {
		c.nextDPD = now.Add(f.DPD)
	}
	return nil
}
