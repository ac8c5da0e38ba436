package profile

import (
	"fmt"
	"os"
	"slices"

	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/ownership"
	"github.com/gotnc/gotnc/tpm/device"
)

// attests reports whether a connection may be asked for measurements: those that
// use an EAP method which carries others.
func attests(conn *swanctl.Connection) bool {
	if conn == nil || conn.Passive != "" {
		return false
	}
	return slices.ContainsFunc(conn.Local, func(l *swanctl.Round) bool {
		return l.Auth.Class == "eap" && (l.Auth.Method == "ttls" || l.Auth.Method == "peap" || l.Auth.Method == "tnc")
	})
}

// attestation checks the files and the TPM that imc-attestation's and imc-os's
// settings name.
func (c *checker) attestation() {
	c.deviceFiles()
	c.tpm()
	named := 0
	for _, file := range []settings.Text{settings.AIKBlob, settings.AIKCert, settings.AIKPubkey} {
		val, ok := file.Lookup(c.Strongswan)
		if !ok || val.Text == "" {
			continue
		}
		named++
		if _, err := os.Stat(val.Text); err != nil {
			c.fail(val.Errorf("%s: %w: put the file there (tnc aik create), or correct its name", val.Key, err))
		}
	}
	if val, ok := settings.AIKHandle.Lookup(c.Strongswan); ok && named == 0 && val.Text != "" {
		c.warn(val.Errorf("aik_handle is set, aik_cert is not: verifiers that want a certificate of the attestation key refuse it"))
	}
}

// deviceFiles checks the files that the Device ID is taken from, and the saved
// parts of IMA's list.
func (c *checker) deviceFiles() {
	for _, file := range []settings.Text{settings.DevicePubkey, settings.DeviceCert, settings.IMASaved} {
		val, ok := file.Lookup(c.Strongswan)
		if !ok {
			continue
		}
		names := []string{val.Text}
		if val.Key == "ima_saved" {
			names = settings.Words(val.Text)
		}
		for _, name := range names {
			if name == "" {
				continue
			}
			if st, err := os.Stat(name); err != nil {
				c.fail(val.Errorf("%s: %w: put the file there, or correct its name", val.Key, err))
			} else if !st.Mode().IsRegular() {
				c.fail(val.Errorf("%s: %s is not a regular file: correct its name", val.Key, name))
			}
		}
	}
}

// TPM returns where the settings say that the TPM is.
func (p *Profile) TPM() device.Config { return tpmkey.FromSettings(p.Strongswan, nil).Device }

// tpm checks where the settings say that the TPM is.
func (c *checker) tpm() {
	d := c.TPM()
	val, ok := settings.TCTIOpts.Lookup(c.Strongswan)
	if !ok || val.Text == "" {
		return
	}
	switch d.Name {
	case "", "device":
		if _, err := os.Stat(d.Opts); err != nil {
			c.warn(val.Errorf("tcti.opts: %w: the TPM is not there: name /dev/tpmrm0, or take the setting out", err))
		}
	case "swtpm", "mssim":
		if err := d.Validate(); err != nil {
			c.warn(val.Errorf("tcti: %w: correct name or opts, as in host=127.0.0.1,port=2321", err))
		}
	}
}

// writable warns of files that others than root and this user may change, in
// themselves or by a folder that leads to them: whoever may write them decides who
// is trusted and what runs as root.
func (c *checker) writable() {
	seen := map[string]bool{}
	look := func(what, path string, kind Kind) {
		if path == "" || seen[path] {
			return
		}
		seen[path] = true
		if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
			return // /dev/null holds nothing
		}
		risk, err := ownership.Find(path)
		if err != nil || risk == nil {
			return
		}
		remedy := "chmod go-w " + risk.Path
		if risk.Owner != 0 {
			remedy = fmt.Sprintf("chown root:root %[1]s; chmod go-w %[1]s", risk.Path)
		}
		c.add(kind, remedy, "%s %s %v", what, path, risk)
	}
	for _, f := range c.Strongswan.Files() {
		look("configuration", f, Warning)
	}
	if m := c.Swanctl; m != nil {
		for _, f := range m.Read() {
			look("configuration", f, Warning)
		}
		for _, k := range m.Keys {
			look("private key", k.File, Warning)
		}
		for _, folder := range []string{"private", "rsa", "ecdsa", "pkcs8", "pkcs12", "x509ca"} {
			files, _ := m.Files(folder)
			for _, f := range files {
				look(map[bool]string{true: "CA certificate", false: "private key"}[folder == "x509ca"], f, Warning)
			}
		}
		for _, s := range m.Secrets {
			look("secrets", s.Pos.File, Warning)
		}
	}
	look("configuration", c.TNCConfigPath(), Warning)
	for _, e := range c.IMCs {
		kind := Error
		if settings.AllowWritable.In(c.Strongswan) {
			kind = Warning
		}
		look(fmt.Sprintf("IMC %q", e.Name), e.Path, kind)
	}
}
