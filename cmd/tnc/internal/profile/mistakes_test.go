package profile

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

// rightFiles are configurations without a mistake.
var rightFiles = map[string]string{
	"swanctl.conf": `connections {
  home {
    version = 2
    remote_addrs = 192.168.0.1
    proposals = aes256-sha256-x25519
    rekey_time = 4h
    local {
      auth = eap-mschapv2
      id = carol@strongswan.org
    }
    remote {
      auth = pubkey
      id = moon.strongswan.org
    }
    children {
      home {
        remote_ts = 10.1.0.0/16
        esp_proposals = aes128gcm16-x25519
      }
    }
  }
}
secrets {
  eap-carol {
    id = carol@strongswan.org
    secret = "x"
  }
}
`,
	"ipsec.conf": `config setup

conn home
	left=192.168.0.100
	leftauth=eap-mschapv2
	leftid=carol@strongswan.org
	right=192.168.0.1
	rightid=moon.strongswan.org
	rightauth=pubkey
	rightsubnet=10.1.0.0/16
	ike=aes256-sha256-modp2048!
	auto=add
`,
	"ipsec.secrets": `carol@strongswan.org : EAP "x"
`,
	"strongswan.conf": `charon {
  retransmit_tries = 3
  plugins {
    eap-ttls {
      fragment_size = 1024
    }
  }
}
`,
	"tnc_config": "",
}

// mistake is a change of a file that is right, and what is said of it.
type mistake struct {
	file, old, new string
	says           string
	at             string // of what text the line is named; "" = new, "=file:line", "-" = none
	kind           Kind   // "" = Error
	works          bool   // can or cannot: exit code 0, or not
}

// whatToDo is in each sentence: an order, what else the value may be, or that
// nothing has to be done.
var whatToDo = regexp.MustCompile(`meant\?|[:;,] (set|add|put|take|write|use|correct|make|save|install|name|close|indent|replace|keep|give|it is for|for example) |` +
	`not (one of|between|a number between|a time such as|a mark (as|such)|a subnet such as|yes or no|six binary digits)|is missing|take it out|use \S+$|write "$|` +
	`has no effect: |does nothing here: |the default applies|is in force before|which is not there|is passed over|ask for any|asks for any|must (be|hold|lie)|there are: |are: |` +
	`is no key type \(|; quote |no type of secret: |is the line to add|is written|are expected, such as|are$|add one such as|the keyword is IMC|lacks|without a tunnel|take it out|reads like`)

// TestMistakes makes typical mistakes, one at a time: each is named with file and
// line, what is wrong and what to do; what cannot work is an error.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	for _, folder := range []string{"x509ca", "ipsec.d/cacerts"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, folder, "ca.pem"), ca.PEM(), 0o600))
	}
	check := func(name, text string) []Finding {
		for n, s := range rightFiles {
			if n == name {
				s = text
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte(s), 0o600))
		}
		f := Files{Strongswan: filepath.Join(dir, "strongswan.conf"), TNCConfig: filepath.Join(dir, "tnc_config")}
		if strings.HasPrefix(name, "ipsec") {
			f.IPsecConf = filepath.Join(dir, "ipsec.conf")
		} else {
			f.Swanctl = filepath.Join(dir, "swanctl.conf")
		}
		return f.Check(time.Now())
	}
	for name := range rightFiles {
		for _, f := range check(name, rightFiles[name]) {
			require.Contains(t, []Kind{OK, Note}, f.Kind, "%s: %s", name, f.Text)
		}
	}
	for _, m := range mistakes {
		require.Contains(t, rightFiles[m.file], m.old, "%+v", m)
		text := strings.Replace(rightFiles[m.file], m.old, m.new, 1)
		kind := m.kind
		if kind == "" {
			kind = Error
		}
		where := ""
		if at, ok := strings.CutPrefix(m.at, "="); ok {
			where = at + ": "
		} else if m.at != "-" {
			at := m.at
			if at == "" {
				at = strings.TrimSpace(m.new)
			}
			i := strings.Index(text, at)
			require.GreaterOrEqual(t, i, 0, "%+v", m)
			where = fmt.Sprintf("%s:%d: ", m.file, 1+strings.Count(text[:i], "\n"))
		}
		found, works := false, can
		var all []string
		for _, f := range check(m.file, text) {
			said := f.Text
			if f.Remedy != "" {
				said += ": " + f.Remedy
			}
			if f.Kind == Error {
				works = cannot
			}
			all = append(all, string(f.Kind)+" "+strings.ReplaceAll(said, dir+"/", ""))
			if f.Kind == kind && strings.Contains(said, where) && strings.Contains(said, m.says) {
				found = true
				if !whatToDo.MatchString(said) {
					t.Errorf("%q does not say what to do", said)
				}
			}
		}
		if works != m.works {
			t.Errorf("%s: %q for %q: exit code 0 is %v, want %v\n  got  %s", m.file, m.new, m.old, works, m.works, strings.Join(all, "\n       "))
		}
		if !found {
			t.Errorf("%s: %q for %q\n  want %s %s…%s\n  got  %s", m.file, m.new, m.old, kind, where, m.says, strings.Join(all, "\n       "))
		}
	}
	require.GreaterOrEqual(t, len(mistakes), 80)
}
