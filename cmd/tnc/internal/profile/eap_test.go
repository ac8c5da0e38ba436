package profile

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/testpki"
)

// What is offered to the gateway, by local.auth, and whether the gateway proves
// itself before EAP.
func TestOuterMethods(t *testing.T) {
	m := eapMethods{Builder: NewBuilder(&Profile{Strongswan: config.New()}, nil, nil), name: "carol"}
	types := func(method string, signed bool) (out []eap.Type) {
		offers, err := m.outer(method, signed)
		require.NoError(t, err)
		for _, o := range offers {
			out = append(out, o.Type)
		}
		return out
	}
	for method, want := range map[string]eap.Type{"ttls": eap.TypeTTLS, "peap": eap.TypePEAP} {
		require.Equal(t, []eap.Type{want}, types(method, false))
	}
	for method, want := range map[string]eap.Type{"mschapv2": eap.TypeMSCHAPv2, "md5": eap.TypeMD5, "gtc": eap.TypeGTC} {
		require.Equal(t, []eap.Type{want}, types(method, true))
		_, err := m.outer(method, false)
		require.ErrorIs(t, err, errNotMutual, "nothing would prove who the gateway is")
	}
	require.Equal(t, []eap.Type{eap.TypeTTLS, eap.TypePEAP}, types("", false))
	require.Equal(t, []eap.Type{eap.TypeTTLS, eap.TypePEAP, eap.TypeMSCHAPv2, eap.TypeMD5, eap.TypeGTC}, types("dynamic", true))
	m.tls.Certificates = []tls.Certificate{{}}
	require.Contains(t, types("", false), eap.TypeTLS, "with a certificate of ours")
	require.Equal(t, []eap.Type{eap.TypeTLS}, types("tls", false))
	for _, method := range []string{"aka", "tnc", "identity", "radius"} {
		_, err := m.outer(method, true)
		require.ErrorContains(t, err, "auth = eap-"+method+" is not supported: use eap-ttls")
	}
}

// `tnc config check` names what is wrong with algorithms and EAP methods, with
// file and line.
func TestConfigCheckOfAlgorithmsAndMethods(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, []byte(text), 0o600))
		return p
	}
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x509ca"), 0o755))
	write("x509ca/ca.pem", string(ca.PEM()))
	check := func(proposals, esp, local, remote string) (errs []string) {
		files := Files{Strongswan: write("strongswan.conf", ""), TNCConfig: write("tnc_config", `IMC "Test" `+write("imc.so", "")+"\n"), Swanctl: write("swanctl.conf", `
connections {
  home {
    remote_addrs = 192.0.2.1
    proposals = `+proposals+`
    local {
      auth = `+local+`
      id = carol
    }
    remote {
      auth = `+remote+`
      id = moon.strongswan.org
    }
    children {
      home {
        esp_proposals = `+esp+`
      }
    }
  }
}
secrets {
  eap {
    id = carol
    secret = x
  }
}
`)}
		for _, f := range files.Check(time.Now()) {
			if f.Kind == Error {
				errs = append(errs, f.Text)
			}
		}
		return errs
	}
	const good, hybrid = "aes128-sha256-x25519", "aes256gcm16-prfsha384-ecp384-ke1_mlkem1024"
	for _, local := range []string{"eap", "eap-ttls", "eap-peap"} {
		require.Empty(t, check(good+", "+hybrid, "aes256gcm16-x25519-ke1_mlkem768, default", local, "eap"), local)
	}
	require.Empty(t, check("default", "default", "eap-mschapv2", "pubkey"))
	for _, c := range []struct{ proposals, esp, local, remote, line, says string }{
		{"aes128-sha256-ke1_mlkem512", "default", "eap-ttls", "eap", "swanctl.conf:5", "ML-KEM-768 and ML-KEM-1024 only"},
		{good, "3des-sha1", "eap-ttls", "eap", "swanctl.conf:16", "is not implemented"},
		{good, "default", "eap-md5", "eap-ttls", "swanctl.conf:6", "does not prove who the gateway is"},
		{good, "default", "eap-aka", "pubkey", "swanctl.conf:6", "use eap-ttls"},
		{good, "default", "eap-tls", "pubkey", "swanctl.conf:6", "local.certs"},
	} {
		errs := check(c.proposals, c.esp, c.local, c.remote)
		require.Len(t, errs, 1, "%+v", c)
		require.Contains(t, errs[0], c.says)
		require.Contains(t, errs[0], c.line)
	}
}

// No password for a gateway that may be anybody with a certificate of a trusted CA.
func TestPasswordNeedsAnIdentity(t *testing.T) {
	dir := t.TempDir()
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x509ca"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x509ca", "ca.pem"), ca.PEM(), 0o600))
	const secrets = "secrets {\n eap {\n id = carol\n secret = x\n }\n ike {\n secret = y\n }\n}\n"
	for _, c := range []struct {
		local, remote, secrets, set string
		refused                     bool
	}{
		{"eap-mschapv2", "auth = pubkey", secrets, "", true},
		{"eap-md5", "auth = pubkey\n id = %any", secrets, "", true},
		{"eap-gtc", "auth = pubkey\n id = *", secrets, "", true},
		{"eap-ttls", "auth = eap-ttls", secrets, "", true},
		{"eap-peap", "auth = pubkey", secrets, "", true},
		{"eap", "auth = pubkey", secrets, "", true},
		{"eap-mschapv2\n aaa_id = moon", "auth = pubkey", secrets, "", true},
		{"eap-mschapv2", "auth = pubkey", secrets, "tnc {\n auth {\n any_gateway = yes\n }\n}\n", false},
		{"eap-ttls\n aaa_id = moon", "auth = pubkey", secrets, "", false},
		{"eap-mschapv2", "auth = pubkey\n id = moon", secrets, "", false},
		{"eap-mschapv2", "auth = psk", secrets, "", false},
		{"eap-ttls", "auth = pubkey", "", "", false},
	} {
		sc, err := config.Parse("strongswan.conf", c.set)
		require.NoError(t, err)
		_, _, err = configure(t, dir, "local {\n auth = "+c.local+"\n id = carol\n }\n remote {\n "+c.remote+"\n }\n", c.secrets, sc)
		if !c.refused {
			require.NoError(t, err, "%+v", c)
			continue
		}
		require.ErrorContains(t, err, "remote.id is open", "%+v", c)
		require.ErrorContains(t, err, "tnc.auth.any_gateway = yes")
	}
}

// max_message_count, include_length and fragment_size of charon's plugins for
// the methods on TLS reach them.
func TestFramingSettings(t *testing.T) {
	const start, flagLength, flagMore = 0x20, 0x80, 0x40
	for plugin, byDefault := range map[string]bool{"eap-ttls": true, "eap-tls": true, "eap-peap": false} {
		offer := func(settings string) eap.Method {
			conf, err := config.Parse("strongswan.conf", "charon { plugins { "+plugin+" {\n"+settings+"\n} } }\n")
			require.NoError(t, err)
			m := eapMethods{Builder: NewBuilder(&Profile{Strongswan: conf}, nil, nil), name: "carol", tls: eap.TLSConfig{
				Certificates: []tls.Certificate{{}}, Verify: func([]*x509.Certificate, []byte) error { return nil },
			}}
			method, err := map[string]func() eap.Offer{
				"eap-ttls": m.ttls, "eap-peap": m.peap, "eap-tls": func() eap.Offer { return m.eapTLS(false) },
			}[plugin]().New()
			require.NoError(t, err)
			t.Cleanup(method.Close)
			return method
		}
		flags := func(settings string) byte {
			r, err := offer(settings).Handle(eap.Packet{Code: eap.CodeRequest, Data: []byte{start}})
			require.NoError(t, err)
			return r.Data[0]
		}
		require.Equal(t, byDefault, flags("")&flagLength != 0, plugin)
		require.NotZero(t, flags("include_length = yes")&flagLength, plugin)
		require.Zero(t, flags("include_length = no")&flagLength, plugin)
		require.Zero(t, flags("")&flagMore, plugin)
		require.NotZero(t, flags("fragment_size = 100")&flagMore, plugin)

		for settings, limit := range map[string]int{"max_message_count = 5": 5, "max_message_count = 0": 0, "": 0} {
			method := offer(settings)
			_, err := method.Handle(eap.Packet{Code: eap.CodeRequest, Data: []byte{start}})
			require.NoError(t, err)
			packets := 1
			for ; packets < 100 && err == nil; packets++ {
				_, err = method.Handle(eap.Packet{Code: eap.CodeRequest, Data: []byte{0}})
			}
			if limit == 0 {
				require.NoError(t, err, "%s: no limit", plugin)
				continue
			}
			require.ErrorAs(t, err, new(*eap.MessageCountError), plugin)
			require.Equal(t, limit+1, packets, plugin)
		}
	}
}

// Settings of strongswan.conf that have no effect are named with their place, and
// values that cannot be used, also of methods that no connection uses.
func TestCheckOfSettings(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, []byte("charon {\n  threads = 16\n  retransmit_trys = 3\n  plugins {\n    eap-ttls {\n      max_message_count = 5\n"+
		"      include_length = no\n    }\n    eap-tls {\n      max_message_count = few\n    }\n  }\n}\n"), 0o600))
	var got []string
	for _, f := range (Files{Strongswan: conf, Swanctl: filepath.Join(dir, "none"), TNCConfig: filepath.Join(dir, "none")}).Check(time.Now()) {
		if f.Kind == Warning {
			got = append(got, f.Text)
		}
	}
	require.ElementsMatch(t, []string{
		conf + ":2: setting charon.threads of strongSwan does nothing here: there is no such pool or table",
		conf + ":3: setting \"retransmit_trys\" is not known in charon; is \"retransmit_tries\" meant?",
		conf + ":10: max_message_count = \"few\": not a number; the default applies",
	}, got)
}
