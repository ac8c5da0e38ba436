package imc

import (
	"strings"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// sentences say the outcome of an assessment to the user, by language.
var sentences = map[string][5]string{
	"en": {"This computer meets the requirements of the network.",
		"This computer does not meet all requirements of the network.",
		"This computer does not meet the requirements of the network.",
		"The check of this computer failed.",
		"Whether this computer meets the requirements of the network is not known."},
	"de": {"Dieser Rechner erfüllt die Anforderungen des Netzes.",
		"Dieser Rechner erfüllt nicht alle Anforderungen des Netzes.",
		"Dieser Rechner erfüllt die Anforderungen des Netzes nicht.",
		"Die Prüfung dieses Rechners ist fehlgeschlagen.",
		"Ob dieser Rechner die Anforderungen des Netzes erfüllt, ist nicht bekannt."},
	"fr": {"Cet ordinateur remplit les conditions du réseau.",
		"Cet ordinateur ne remplit pas toutes les conditions du réseau.",
		"Cet ordinateur ne remplit pas les conditions du réseau.",
		"La vérification de cet ordinateur a échoué.",
		"On ne sait pas si cet ordinateur remplit les conditions du réseau."},
	"es": {"Este equipo cumple los requisitos de la red.",
		"Este equipo no cumple todos los requisitos de la red.",
		"Este equipo no cumple los requisitos de la red.",
		"La comprobación de este equipo ha fallado.",
		"No se sabe si este equipo cumple los requisitos de la red."},
	"it": {"Questo computer soddisfa i requisiti della rete.",
		"Questo computer non soddisfa tutti i requisiti della rete.",
		"Questo computer non soddisfa i requisiti della rete.",
		"La verifica di questo computer non è riuscita.",
		"Non è noto se questo computer soddisfi i requisiti della rete."},
}

// primary returns the first subtag of an RFC 5646 tag in lower case.
func primary(tag string) string {
	p, _, _ := strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	return strings.ToLower(p)
}

// sentence says a result in the language that tag begins with, else in English.
func sentence(r patnc.Assessment, tag string) string {
	s, ok := sentences[primary(tag)]
	if !ok {
		s = sentences["en"]
	}
	if int64(r) >= int64(len(s)) {
		r = patnc.AssessmentUnknown
	}
	return s[r]
}

// fit says how well a text in language suits a user of language want: the tag
// itself, the same language elsewhere, English, any other.
func fit(language, want string) int {
	switch {
	case strings.EqualFold(strings.ReplaceAll(language, "_", "-"), strings.ReplaceAll(want, "_", "-")):
		return 3
	case primary(language) == primary(want):
		return 2
	case primary(language) == "en":
		return 1
	}
	return 0
}

// userText is what the user reads of an assessment: the outcome, what to do in
// the best language offered, where to read on.
func userText(as []patnc.Attribute, language string) string {
	var parts, uris []string
	instruction, best := "", -1
	for _, at := range as {
		switch v := at.Value.(type) {
		case patnc.AssessmentResult:
			parts = append(parts, sentence(v.Result, language))
		case patnc.RemediationInstructions:
			switch {
			case v.Vendor != patnc.VendorIETF:
			case v.Parameters == patnc.RemediationURI:
				uris = append(uris, text.Escape(v.URI, maxPrinted))
			case v.Parameters == patnc.RemediationString:
				if f := fit(v.Language, language); f > best {
					best, instruction = f, strings.TrimSpace(text.Lines(text.Clip(v.String, maxPrinted)))
				}
			}
		}
	}
	if instruction != "" {
		parts = append(parts, instruction)
	}
	return strings.Join(append(parts, uris...), "\n")
}

// showUser gives the host the text to show, where it shows texts. The log already
// has the lines of assessment.
func (a *Agent) showUser(l *loaded, c *connection, as []patnc.Attribute) {
	a.mu.Lock()
	host := l.host
	a.mu.Unlock()
	u, ok := host.(UserHost)
	if !ok {
		return
	}
	if message := userText(as, a.cfg.Language); message != "" && u.UserMessage(c.id, message) {
		log.Detailf(a.log, "IMC %d %q told the user of Connection ID %d", l.id, a.name, c.id)
	}
}
