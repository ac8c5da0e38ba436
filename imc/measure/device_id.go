package measure

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the key ID of a SubjectPublicKeyInfo is SHA-1
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/log"
)

// machineIDs hold what identifies a system that has no key. strongSwan knows the
// first; systems without D-Bus have the second.
var machineIDs = [...]string{"/var/lib/dbus/machine-id", "/etc/machine-id"}

// deviceID is, in strongSwan's order, the first of: the configured text; the
// SHA-1 of the configured public key, of the configured certificate's; the
// machine ID. A key that cannot be loaded is logged and leads to the next. The
// key behind imc-os.device_handle, which comes after the text, is the business of
// whoever has the TPM.
func (p *Platform) deviceID() (string, error) {
	if p.cfg.DeviceID != "" {
		return p.cfg.DeviceID, nil
	}
	imc := log.Group(p.cfg.Logger, log.IMC)
	for _, k := range [...]struct {
		what, file string
		key        func(der []byte) ([]byte, error)
	}{
		{"public key", p.cfg.DevicePublicKey, publicKeyInfo},
		{"certificate", p.cfg.DeviceCertificate, func(der []byte) ([]byte, error) {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, err
			}
			return c.RawSubjectPublicKeyInfo, nil
		}},
	} {
		if k.file == "" {
			continue
		}
		id, err := keyID(k.file, k.key)
		if err == nil {
			return id, nil
		}
		log.Warnf(imc, "loading device %s from '%s' failed: %v", k.what, k.file, err)
	}
	for _, f := range machineIDs {
		b, err := p.read(f, 256)
		if err != nil {
			continue
		}
		if id := strings.TrimSpace(string(b)); id != "" && strings.IndexByte(id, 0) < 0 {
			return id, nil
		}
	}
	return "", fmt.Errorf("device ID: %w; set imc-os.device_id in strongswan.conf", ErrUnknown)
}

// publicKeyInfo takes a SubjectPublicKeyInfo, or an RSAPublicKey of PKCS #1, as
// strongSwan's pki writes on request.
func publicKeyInfo(der []byte) ([]byte, error) {
	_, err := x509.ParsePKIXPublicKey(der)
	if err == nil {
		return der, nil
	}
	var key *rsa.PublicKey
	if key, _ = x509.ParsePKCS1PublicKey(der); key != nil {
		return x509.MarshalPKIXPublicKey(key)
	}
	return nil, err
}

// keyID is the key ID of what key finds in a file, PEM or DER.
func keyID(file string, key func(der []byte) ([]byte, error)) (string, error) {
	b, err := readFile(file, maxFact)
	if err != nil {
		return "", err
	}
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	der, err := key(b)
	if err != nil {
		return "", err
	}
	return keyIDOf(der), nil
}

// keyIDOf is the hexadecimal SHA-1 of a SubjectPublicKeyInfo.
func keyIDOf(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}
