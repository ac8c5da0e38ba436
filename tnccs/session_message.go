package tnccs

import (
	"fmt"
	"net"
	"strconv"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// handle acts on one message.
func (s *Session) handle(t pb.BatchType, m pb.Message) {
	l := s.c.tnc
	logAt(l, log.LevelDetail, fmt.Sprintf("processing %s message", m.MessageType()))
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
		s.recommend(m.Code)
	case pb.RemediationParameters:
		s.remediate(m)
	case pb.ReasonString:
		text, lang := keep(m.Text), keep(m.Language)
		log.Infof(l, "reason string is '%s' [%s]", oneLine(text), oneLine(lang))
		s.reason(text, lang)
	case pb.Error: // fatal ones ended the batch before
		l.Warn(s.reported(m).Error())
	case pb.LanguagePreference:
		log.Infof(l, "setting language preference to '%s'", m.Languages)
	case pb.PDPReferral:
		s.refer(m)
	case pb.MutualCapability:
		s.agree(m)
	case pb.Raw:
		log.Infof(l, "ignore PB-TNC message (0x%06x/0x%08x)", m.Kind.Vendor, m.Kind.Type)
	}
}

// recommend takes the server's recommendation.
func (s *Session) recommend(code pb.Access) {
	log.Infof(s.c.tnc, "PB-TNC access recommendation is '%s'", code)
	switch code {
	case pb.AccessAllowed:
		s.recommended(RecommendAllow)
	case pb.Quarantined:
		s.recommended(RecommendIsolate)
	default:
		s.recommended(RecommendDeny)
	}
}

// recommended notes a recommendation and tells the IMCs.
func (s *Session) recommended(r Recommendation) {
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

// reason keeps a reason of the server's.
func (s *Session) reason(text, language string) {
	s.mu.Lock()
	if len(s.out.Reasons) < MaxReasons {
		s.out.Reasons = append(s.out.Reasons, Reason{Text: text, Language: language})
	}
	s.mu.Unlock()
}

func (s *Session) remediate(m pb.RemediationParameters) {
	r := Remediation{Vendor: m.Vendor, Type: m.Type, URI: keep(m.URI), Text: keep(m.Text), Language: keep(m.Language)}
	switch {
	case r.URI != "":
		s.c.tnc.Info("remediation uri: " + oneLine(r.URI))
	case r.Text != "":
		log.Infof(s.c.tnc, "remediation string: %s [%s]", oneLine(r.Text), oneLine(r.Language))
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

func (s *Session) refer(m pb.PDPReferral) {
	if m.Vendor != pb.VendorTCG || m.Host == "" {
		return
	}
	if m.Protocol != pb.PDPProtocolPTTLS {
		s.c.tnc.Info("unsupported PDP transport protocol")
		return
	}
	host := oneLine(keep(m.Host))
	log.Infof(s.c.tnc, "PDP server '%s' is listening on port %d", host, m.Port)
	s.mu.Lock()
	s.out.PDP = net.JoinHostPort(host, strconv.Itoa(int(m.Port)))
	s.mu.Unlock()
}

// keep returns text of the server fit to be kept and printed.
func keep(text string) string {
	if len(text) > maxTextKept {
		text = text[:maxTextKept]
	}
	return printable(text)
}
