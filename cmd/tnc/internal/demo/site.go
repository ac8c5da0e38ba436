package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/imc/imv"
)

// enrol makes what is measured and the policy that knows its digests. With
// --fail one file changes after that.
func (d *demo) enrol() (imv.Policy, error) {
	p := imv.Policy{Files: map[string]string{}, Directories: map[string]map[string]string{}}
	write := func(name, content string) (string, error) {
		path := filepath.Join(d.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		return path, os.WriteFile(path, []byte(content), 0o644)
	}
	confs := map[string]string{
		"firewall.conf": "default deny\nallow established\n",
		"sshd.conf":     "PermitRootLogin no\n",
		"updates.conf":  "daily\n",
	}
	ref := map[string]string{}
	for name, content := range confs {
		if _, err := write("site/conf.d/"+name, content); err != nil {
			return p, err
		}
		sum := sha256.Sum256([]byte(content))
		ref[name] = hex.EncodeToString(sum[:])
	}
	p.Directories[filepath.Join(d.dir, "site", "conf.d")] = ref
	agent, err := write("site/agent.conf", "antivirus on\n")
	if err != nil {
		return p, err
	}
	exe, err := os.Executable()
	if err != nil {
		return p, err
	}
	for _, f := range []string{agent, d.Library, exe} {
		sum, err := sha256File(f)
		if err != nil {
			return p, err
		}
		p.Files[f] = sum
	}
	p.Metadata = []string{d.Library}
	if d.Fail {
		if err := os.WriteFile(agent, []byte("antivirus off\n"), 0o644); err != nil {
			return p, err
		}
	}
	return p, nil
}

func sha256File(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// configure writes the files that a user of tnc has.
func (d *demo) configure(ca []byte, password string, gw netip.AddrPort) (f profile.Files, err error) {
	files := map[string]string{
		"swanctl/x509ca/ca.pem": string(ca),
		"tnc_config":            fmt.Sprintf("IMC \"Attestation\" %s\n", d.Library),
		"strongswan.conf": fmt.Sprintf(`charon {
  port = 0
  port_nat_t = 0
  plugins {
    tnc-imc {
      allow_writable = yes
    }
  }
}
libtnccs {
  tnc_config = "%s"
}
libimcv {
  debug_level = %d
  plugins {
    imc-attestation {
      hash_algorithm = sha256
    }
  }
}
`, filepath.Join(d.dir, "tnc_config"), 2+d.Verbose),
		"swanctl/swanctl.conf": fmt.Sprintf(`connections {
  home {
    local_addrs = %[1]s
    remote_addrs = %[1]s
    remote_port = %[2]d
    local {
      auth = eap-ttls
      id = %[3]s
    }
    remote {
      auth = eap-ttls
      id = %[4]s
    }
    children {
      home {
        remote_ts = 10.1.0.0/16
      }
    }
    version = 2
  }
}
secrets {
  eap {
    id = %[3]s
    secret = "%[5]s"
  }
}
`, gw.Addr(), gw.Port(), userName, gatewayName, password),
	}
	for name, content := range files {
		path := filepath.Join(d.dir, name)
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return f, err
		}
		if err = os.WriteFile(path, []byte(content), 0o600); err != nil {
			return f, err
		}
	}
	return profile.Files{
		Swanctl:    filepath.Join(d.dir, "swanctl", "swanctl.conf"),
		Strongswan: filepath.Join(d.dir, "strongswan.conf"),
	}, nil
}
