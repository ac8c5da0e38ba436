package profile

import (
	"errors"
	"strings"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// checkProposals reads the algorithms of a connection and of its children.
func checkProposals(conn *swanctl.Connection) error {
	if _, err := crypto.ParseProposals(message.ProtocolIKE, conn.Proposals); err != nil {
		return conn.ProposalsPos.Errorf("proposals of connection %q: %w%s", conn.Name, err, instead(err))
	}
	for _, ch := range conn.Children {
		if _, err := crypto.ParseProposals(message.ProtocolESP, ch.ESPProposals); err != nil {
			return ch.ProposalsPos.Errorf("esp_proposals of child %q: %w%s", ch.Name, err, instead(err))
		}
	}
	return nil
}

// instead says what to write instead of an algorithm that cannot be used.
func instead(err error) string {
	bad := new(crypto.AlgorithmError)
	if !errors.As(err, &bad) {
		return ""
	}
	switch {
	case strings.HasSuffix(bad.Word, "mlkem512"):
		return "; take mlkem768"
	case bad.Known:
		return "; take for example aes256gcm16, aes256-sha256, prfsha256, curve25519, modp3072"
	}
	if s := config.Suggest(bad.Word, crypto.Keywords()); s != "" {
		return s
	}
	return "; a proposal reads like aes256-sha256-modp2048 or aes256gcm16-prfsha256-curve25519-ke1_mlkem768"
}
