package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
)

// WriteConnection writes what was understood of a connection.
func WriteConnection(w io.Writer, s profile.Shown) {
	t := newTable(w, s.Name, "IKEv2, "+s.At)
	for _, p := range s.Problems {
		t.row("problem", "%s", p)
	}
	if s.Passive != "" {
		t.row("not begun", "%s", s.Passive)
	}
	t.row("local", "%s", hosts(s.LocalAddrs, s.LocalPort))
	t.row("remote", "%s", hosts(s.RemoteAddrs, s.RemotePort))
	t.proposals(s.Proposals)
	if len(s.VirtualIPs) > 0 {
		t.row("virtual IPs", "%s", strings.Join(s.VirtualIPs, ", "))
	}
	t.row("times", "rekeying %s, reauthentication %s, over %s, random %s, DPD %s",
		every(s.RekeyTime), every(s.ReauthTime), seconds(s.OverTime), seconds(s.RandTime), every(s.DPDDelay))
	tries := strconv.Itoa(s.KeyingTries)
	if s.KeyingTries == 0 {
		tries = "for ever"
	}
	t.row("options", "MOBIKE %s, fragmentation %s, encap %s, childless %s, keyingtries %s, send_cert %s, send_certreq %s, ocsp %s",
		yesNo(s.MOBIKE), s.Fragmentation, yesNo(s.Encap), s.Childless, tries, s.SendCert, yesNo(s.SendCertReq), s.OCSP)
	if s.PPKID != "" {
		t.row("PPK", "%s, required %s", s.PPKID, yesNo(s.PPKRequired))
	}
	if s.IfIDIn != 0 || s.IfIDOut != 0 {
		t.row("XFRM interface", "in %d, out %d", s.IfIDIn, s.IfIDOut)
	}
	for _, r := range s.Local {
		t.round(r, "this machine's address")
	}
	for _, r := range s.Remote {
		t.round(r, "any")
	}
	for _, ch := range s.Children {
		t.childConfig(ch)
	}
	t.Flush()
}

func (t table) round(r profile.ShownRound, unnamed string) {
	auth := r.Class
	if r.Class == "eap" && r.Method != "" {
		auth = "EAP-" + strings.ToUpper(r.Method)
	}
	if r.Constraints != "" {
		auth += " (" + r.Constraints + ")"
	}
	t.row(r.Name, "%s", auth)
	id := r.ID
	if id == "" {
		id = unnamed
	}
	if r.Loose {
		id += ", in the certificate only"
	}
	for _, f := range [][2]string{
		{"id", id}, {"EAP identity", r.EAPID}, {"AAA identity", r.AAAID}, {"groups", strings.Join(r.Groups, ", ")},
		{"certificates", strings.Join(r.Certs, "; ")}, {"raw keys", strings.Join(r.PubKeys, ", ")},
		{"CAs", strings.Join(r.CACerts, "; ")}, {"CA identity", r.CAID}, {"revocation", r.Revocation}, {"policies", strings.Join(r.CertPolicy, ", ")},
	} {
		if f[1] != "" {
			t.row("  "+f[0], "%s", f[1])
		}
	}
}

func (t table) childConfig(ch profile.ShownChild) {
	t.row("child "+ch.Name, "%s", strings.ToUpper(ch.Mode))
	t.row("  local", "%s", strings.Join(ch.LocalTS, ", "))
	t.row("  remote", "%s", strings.Join(ch.RemoteTS, ", "))
	t.indented("  proposals", ch.Proposals)
	t.row("  times", "rekeying %s, life %s, random %s", every(ch.RekeyTime), every(ch.LifeTime), seconds(ch.RandTime))
	t.row("  actions", "start %s, close %s, DPD %s", ch.StartAction, ch.CloseAction, ch.DPDAction)
	for _, f := range [][2]string{{"updown", ch.Updown}, {"interface", ch.Interface}, {"mark in", ch.MarkIn}, {"mark out", ch.MarkOut}} {
		if f[1] != "" {
			t.row("  "+f[0], "%s", f[1])
		}
	}
}

func (t table) proposals(ps []string) { t.indented("proposals", ps) }

// indented writes a row for each text, the name in front of the first.
func (t table) indented(name string, texts []string) {
	for _, p := range texts {
		t.row(name, "%s", p)
		name = ""
	}
}

func hosts(addrs []string, port uint16) string {
	if len(addrs) == 0 {
		addrs = []string{"%any"}
	}
	return fmt.Sprintf("%s, port %d", strings.Join(addrs, ", "), port)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func every(s int64) string {
	if s == 0 {
		return "never"
	}
	return seconds(s)
}

func seconds(s int64) string { return (time.Duration(s) * time.Second).String() }
