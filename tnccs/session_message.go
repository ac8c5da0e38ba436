package tnccs

import (
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// handle acts on one message.
func (s *Session) handle(t pb.BatchType, m pb.Message) {
	l := s.c.tnc
	log.Detailf(l, "processing %s message", m.MessageType())
	switch m := m.(type) {
	case pb.AssessmentResult:
		if t != pb.RESULT {
			log.Infof(l, "ignore %s message not received within RESULT batch", m.MessageType())
			return
		}
		log.Infof(l, "PB-TNC assessment result is '%s'", m.Result)
		s.mu.Lock()
		s.out.Assessment = Assessment(m.Result) + AssessmentCompliant
		s.mu.Unlock()
	case pb.AccessRecommendation:
		if t != pb.RESULT {
			log.Infof(l, "ignore %s message not received within RESULT batch", m.MessageType())
			return
		}
		s.recommendPB(m.Code)
	case pb.RemediationParameters:
		s.addRemediation(m)
	case pb.ReasonString:
		r := Reason{Text: clipPrintable(m.Text), Language: clipPrintable(m.Language)}
		log.Infof(l, "reason string is '%s' [%s]", text.Printable(r.Text), text.Printable(r.Language))
		s.addReason(r)
	case pb.Error: // fatal ones ended the batch before
		log.Warnf(l, "%v", s.peerError(m))
	case pb.LanguagePreference:
		log.Infof(l, "setting language preference to '%s'", m.Languages)
	case pb.PDPReferral:
		s.setPDP(m)
	case pb.MutualCapability:
		s.acceptMutual(m)
	case pb.Raw:
		log.Infof(l, "ignore PB-TNC message (0x%06x/0x%08x)", m.Kind.Vendor, m.Kind.Type)
	}
}

// recommendPB handles the access recommendation of PB-TNC.
func (s *Session) recommendPB(code pb.Access) {
	log.Infof(s.c.tnc, "PB-TNC access recommendation is '%s'", code)
	switch code {
	case pb.AccessAllowed:
		s.setRecommendation(RecommendAllow)
	case pb.Quarantined:
		s.setRecommendation(RecommendIsolate)
	default:
		s.setRecommendation(RecommendDeny)
	}
}

// setRecommendation records a recommendation and notifies the IMCs.
func (s *Session) setRecommendation(r Recommendation) {
	s.mu.Lock()
	s.out.Recommendation = r
	s.mu.Unlock()
	switch r {
	case RecommendAllow:
		s.notify(ConnectionAccessAllowed)
	case RecommendIsolate:
		s.notify(ConnectionAccessIsolated)
	default:
		s.notify(ConnectionAccessNone)
	}
}

// addReason keeps a reason of the server.
func (s *Session) addReason(r Reason) {
	s.mu.Lock()
	if len(s.out.Reasons) < MaxReasons {
		s.out.Reasons = append(s.out.Reasons, r)
	}
	s.mu.Unlock()
}

// addRemediation keeps a remediation instruction of the server.
func (s *Session) addRemediation(m pb.RemediationParameters) {
	r := Remediation{Vendor: m.Vendor, Type: m.Type, URI: clipPrintable(m.URI), Text: clipPrintable(m.Text), Language: clipPrintable(m.Language)}
	switch {
	case r.URI != "":
		log.Infof(s.c.tnc, "remediation uri: %s", text.Printable(r.URI))
	case r.Text != "":
		log.Infof(s.c.tnc, "remediation string: %s [%s]", text.Printable(r.Text), text.Printable(r.Language))
	default:
		r.Data = m.Data
		log.Infof(s.c.tnc, "remediation parameters: %d bytes of type 0x%06x/0x%08x", len(m.Data), m.Vendor, m.Type)
	}
	s.mu.Lock()
	if len(s.out.Remediation) < MaxRemediation {
		s.out.Remediation = append(s.out.Remediation, r)
	}
	s.mu.Unlock()
}

// setPDP keeps the PT-TLS server that the server refers to.
func (s *Session) setPDP(m pb.PDPReferral) {
	if m.Vendor != pb.VendorTCG || m.Host == "" {
		return
	}
	if m.Protocol != pb.PDPProtocolPTTLS {
		s.c.tnc.Info("unsupported PDP transport protocol")
		return
	}
	host := text.Printable(clipPrintable(m.Host))
	log.Infof(s.c.tnc, "PDP server '%s' is listening on port %d", host, m.Port)
	s.mu.Lock()
	s.out.PDP = hostPort(host, m.Port)
	s.mu.Unlock()
}

// hostPort returns "host:port", with an IPv6 address in brackets.
func hostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%d", host, port)
}

// clipPrintable returns at most maxTextKept octets of a text of the server, fit to
// be printed. Logs show it on one line, by text.Printable.
func clipPrintable(s string) string { return text.Marked(text.Clip(s, maxTextKept)) }
