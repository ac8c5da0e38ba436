package aik

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gotnc/gotnc/imc/measure"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
)

// trusted is what leads a verifier to trust a key: the settings of the machine that
// has it, and what the verifier is told of that machine.
type trusted struct {
	handle      string // of a TPM 2.0
	blob        string // file, of a TPM 1.2
	public      string // file, of a TPM 1.2 without certificate
	certificate string // file; "" = none yet
	tpm         *device.Config

	keyID   string
	product string // of the machine, as its IMC reports it; "" = not known
	issuer  string // of the certificate, or a file with the CA's certificate; "" = no certificate
}

// product returns the name of the operating system as the IMC reports it and as
// strongSwan's database has it: "Debian 13 x86_64".
func product(view measure.Settings) string {
	p := measure.PlatformFromSettings(view, nil)
	name, err := p.Attribute(context.Background(), patnc.TypeProductInformation)
	if err != nil {
		return ""
	}
	version, err := p.Attribute(context.Background(), patnc.TypeStringVersion)
	if err != nil {
		return ""
	}
	return name.(patnc.ProductInformation).Name + " " + version.(patnc.StringVersion).Version
}

// settings returns the lines of strongswan.conf.
func (t *trusted) settings() string {
	var b strings.Builder
	section := func(name string, pairs ...[2]string) {
		fmt.Fprintf(&b, "    %s {\n", name)
		for _, p := range pairs {
			if p[1] != "" {
				fmt.Fprintf(&b, "      %s = %s\n", p[0], quoted(p[1]))
			}
		}
		b.WriteString("    }\n")
	}
	if t.tpm != nil {
		opts := ""
		if t.tpm.Opts != "" {
			opts = fmt.Sprintf("        opts = %s\n", quoted(t.tpm.Opts))
		}
		fmt.Fprintf(&b, "charon {\n  plugins {\n    tpm {\n      tcti {\n        name = %s\n%s      }\n    }\n  }\n}\n", quoted(t.tpm.Name), opts)
	}
	b.WriteString("libimcv {\n  plugins {\n")
	switch { // the Device ID is the key ID only where the IMC finds the key
	case t.certificate != "":
		section("imc-os", [2]string{"device_cert", t.certificate})
	case t.handle != "":
		section("imc-os", [2]string{"device_handle", t.handle})
	default:
		section("imc-os", [2]string{"device_pubkey", t.public})
	}
	public := t.public
	if t.certificate != "" {
		public = ""
	}
	section("imc-attestation", [2]string{"aik_handle", t.handle}, [2]string{"aik_blob", t.blob}, [2]string{"aik_pubkey", public}, [2]string{"aik_cert", t.certificate})
	b.WriteString("  }\n}\n")
	return b.String()
}

var bare = regexp.MustCompile(`^[A-Za-z0-9/._-]+$`)

// quoted returns a value as strongswan.conf wants it.
func quoted(s string) string {
	if bare.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// sql returns the statements that make the verifier trust the device; they leave
// its creation time out, by which strongSwan puts it into its product's group of
// policies when it connects. They may be run again.
func (t *trusted) sql() string {
	id := literal(t.keyID)
	if t.product == "" {
		return fmt.Sprintf("UPDATE devices SET trusted = 1 WHERE value = %s;\n", id)
	}
	name := literal(t.product)
	return fmt.Sprintf(`INSERT INTO products (name) SELECT %[2]s WHERE NOT EXISTS (SELECT 1 FROM products WHERE name = %[2]s);
INSERT INTO devices (value, product) SELECT %[1]s, id FROM products WHERE name = %[2]s AND NOT EXISTS (SELECT 1 FROM devices WHERE value = %[1]s AND product = products.id);
UPDATE devices SET trusted = 1 WHERE value = %[1]s;
`, id, name)
}

// literal returns a string of SQL.
func literal(s string) string {
	return "'" + strings.ReplaceAll(text.Printable(s), "'", "''") + "'"
}

// indented returns lines that are moved to the right.
func indented(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n  ") + "\n"
}

// writeSettings writes what this machine needs.
func (t *trusted) writeSettings(w io.Writer) {
	fmt.Fprintf(w, "\nIn strongswan.conf:\n\n%s", indented(t.settings()))
}

// writeVerifier writes what the verifier needs.
func (t *trusted) writeVerifier(w io.Writer) {
	fmt.Fprintf(w, "\nThe verifier (strongSwan) needs the device in its database, as in: sqlite3 config.db\n\n%s", indented(t.sql()))
	if t.product == "" {
		fmt.Fprint(w, "\nThe request does not say which operating system it is: run that after the first connection, or give --product.\n")
	}
	if t.issuer != "" {
		fmt.Fprintf(w, "\nand the certificate of the privacy CA, %s, in the folder of its setting:\n\n", t.issuer)
		fmt.Fprint(w, indented("libimcv {\n  plugins {\n    imv-attestation {\n      cadir = /etc/swanctl/aikca\n    }\n  }\n}\n"))
	}
}

// trusted returns what leads to trust in the key that strongswan.conf and the flags
// name, with the certificate in the file that aik_cert names; cert may be nil.
func (t *openTPM) trusted(cert *x509.Certificate) trusted {
	k := trusted{
		blob: settings.AIKBlob.Read(t.view), public: settings.AIKPubkey.Read(t.view), certificate: settings.AIKCert.Read(t.view),
		tpm: t.tcti, product: product(t.view),
	}
	if t.aik.Handle != 0 && t.Generation() == tpm.TPM20 {
		k.handle, k.blob, k.public = fmt.Sprintf("0x%08x", t.aik.Handle), "", ""
	}
	if k.blob != "" && k.public == "" {
		k.public = filepath.Join(filepath.Dir(k.blob), "aik.pub") // as `tnc aik create` writes it
	}
	if cert != nil {
		k.keyID, k.issuer = KeyID(cert.RawSubjectPublicKeyInfo), fmt.Sprintf("%q", cert.Issuer)
	}
	return k
}
