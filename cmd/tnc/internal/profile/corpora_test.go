package profile

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/internal/base/trust"
	"github.com/gotnc/gotnc/internal/corpora"
)

// limboCase is a test case of x509-limbo.
type limboCase struct {
	ID            string     `json:"id"`
	Kind          string     `json:"validation_kind"`
	Trusted       []string   `json:"trusted_certs"`
	Intermediates []string   `json:"untrusted_intermediates"`
	Peer          string     `json:"peer_certificate"`
	Time          *time.Time `json:"validation_time"`
	Expected      string     `json:"expected_result"`
	Name          *struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"expected_peer_name"`
	ExtendedKeyUsage []string `json:"extended_key_usage"`
	MaxChainDepth    *int     `json:"max_chain_depth"`
}

// limboDifferences are the cases that are judged otherwise here, and why.
var limboDifferences = because(map[string][]string{
	"crypto/x509 counts CA certificates that were issued to themselves (RFC 5280 section 6.1.4 l): stricter, it refuses": {
		"pathlen::self-issued-certs-pathlen",
		"rfc5280::nc::permitted-self-issued",
	},
	"identifiers of keys help to find paths; their absence or form proves nothing about a signature that was checked": {
		"rfc5280::aki::leaf-missing-aki",
		"rfc5280::aki::intermediate-missing-aki",
		"rfc5280::aki::cross-signed-root-missing-aki",
		"rfc5280::ski::root-missing-ski",
		"rfc5280::ski::intermediate-missing-ski",
		"webpki::aki::root-with-aki-missing-keyidentifier",
		"webpki::aki::root-with-aki-authoritycertissuer",
		"webpki::aki::root-with-aki-authoritycertserialnumber",
		"webpki::aki::root-with-aki-all-fields",
		"webpki::aki::root-with-aki-ski-mismatch",
	},
	"an extension is obeyed whether it is critical or not": {
		"rfc5280::nc::permitted-dns-match-noncritical",
		"rfc5280::san::noncritical-with-empty-subject",
		"rfc5280::root-non-critical-basic-constraints",
		"webpki::san::san-critical-with-nonempty-subject",
		"webpki::eku::ee-critical-eku",
	},
	"name constraints of an end entity constrain nobody": {
		"rfc5280::nc::not-allowed-in-ee-noncritical",
		"rfc5280::nc::not-allowed-in-ee-critical",
	},
	"the certificate is for a directoryName, and the test compares no name: here the server has to be the one that is named": {
		"rfc5280::nc::permitted-dn-match",
	},
	"a rule for CAs that issue: what a serial number or name looks like": {
		"rfc5280::serial::too-long",
		"rfc5280::serial::zero",
		"rfc5280::ee-empty-issuer",
		"rfc5280::ca-empty-subject",
	},
	"a trust anchor is what the configuration names, whatever its extensions say (RFC 5280 section 6.1.1)": {
		"rfc5280::root-inconsistent-ca-extensions",
		"webpki::eku::root-has-eku",
	},
	"gateways may use the certificate of a CA, as with strongSwan; it is the configured name that counts": {
		"rfc5280::leaf-ku-keycertsign",
		"webpki::ee-basicconstraints-ca",
	},
	"a rule of the web's CAs; IKE gateways' certificates often have no or any extended key usage": {
		"webpki::eku::ee-anyeku",
		"webpki::eku::ee-without-eku",
	},
})

// because turns a table of reasons into one of cases.
func because(reasons map[string][]string) map[string]string {
	out := map[string]string{}
	for reason, cases := range reasons {
		for _, id := range cases {
			out[id] = reason
		}
	}
	return out
}

// TestCorporaLimbo judges x509-limbo's certificates as those of a TLS server are.
// "online" cases are chains of public servers on a day.
func TestCorporaLimbo(t *testing.T) {
	var file struct {
		Cases []limboCase `json:"testcases"`
	}
	path := filepath.Join(corpora.Folder(t, "limbo"), "limbo.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Skip("SKIP ", err)
	}
	require.NoError(t, json.Unmarshal(b, &file))
	online := corpora.Files(t, "limbo", "limbo", "_assets", "online")
	for _, name := range slices.Sorted(maps.Keys(online)) {
		var c limboCase
		require.NoError(t, json.Unmarshal(online[name], &c), name)
		file.Cases = append(file.Cases, c)
	}
	tally := corpora.New(t, "x509-limbo", limboDifferences)
	for _, c := range file.Cases {
		tally.Judge(c.ID, c.Expected == "SUCCESS", func() error { return c.judge() })
	}
}

func (c limboCase) judge() error {
	if c.MaxChainDepth != nil {
		return corpora.ErrNotOurs // paths have no limit of their own here
	}
	parse := func(list ...string) (out []*x509.Certificate, err error) {
		for _, s := range list {
			block, _ := pem.Decode([]byte(s))
			if block == nil {
				return nil, errors.New("no PEM")
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			out = append(out, cert)
		}
		return out, nil
	}
	cas, err := parse(c.Trusted...)
	if err != nil {
		return fmt.Errorf("CA: %w", err)
	}
	sent, err := parse(append([]string{c.Peer}, c.Intermediates...)...)
	if err != nil {
		return err
	}
	policy := trust.Policy{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, MatchesPeer: func(leaf *x509.Certificate) error {
		if c.Name == nil {
			return nil
		}
		id, err := ike.ParseIdentity(c.Name.Value)
		if err != nil {
			return err
		}
		if identity.Held(leaf, id) == identity.None {
			return fmt.Errorf("not for %s", id)
		}
		return nil
	}}
	if c.Kind == "CLIENT" {
		policy.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	now := time.Now()
	if c.Time != nil {
		now = *c.Time
	}
	_, err = trust.New(trust.Config{CAs: cas}).Verify(context.Background(), trust.Presented{Certs: sent}, policy, now)
	return err
}
