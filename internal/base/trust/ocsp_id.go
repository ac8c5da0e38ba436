package trust

import (
	"bytes"
	gocrypto "crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"
)

// ocspData is ResponseData (RFC 6960 section 4.2.1), as far as it is needed.
type ocspData struct {
	Version   int `asn1:"optional,default:0,explicit,tag:0"`
	Responder asn1.RawValue
	Produced  time.Time `asn1:"generalized"`
	Responses []struct {
		ID struct {
			Hash     pkix.AlgorithmIdentifier
			NameHash []byte
			KeyHash  []byte
			Serial   *big.Int
		}
		Status, This asn1.RawValue
		Next, Extra  asn1.RawValue `asn1:"optional"`
	}
	Extensions asn1.RawValue `asn1:"optional"`
}

// hashOIDs has the hash algorithms of CertID.
var hashOIDs = map[string]gocrypto.Hash{
	"1.3.14.3.2.26": gocrypto.SHA1, "2.16.840.1.101.3.4.2.1": gocrypto.SHA256,
	"2.16.840.1.101.3.4.2.2": gocrypto.SHA384, "2.16.840.1.101.3.4.2.3": gocrypto.SHA512,
}

var errOtherIssuer = errors.New("it is about a certificate of another issuer")

// checkCertID checks that the response about the serial number of c is about a
// certificate of its issuer: serial numbers are unique for one issuer only.
func checkCertID(tbs []byte, c, issuer *x509.Certificate) error {
	var d ocspData
	if _, err := asn1.Unmarshal(tbs, &d); err != nil {
		return err
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &spki); err != nil {
		return err
	}
	found := false
	for _, r := range d.Responses {
		if r.ID.Serial == nil || r.ID.Serial.Cmp(c.SerialNumber) != 0 {
			continue
		}
		h, ok := hashOIDs[r.ID.Hash.Algorithm.String()]
		if !ok {
			return errOtherIssuer
		}
		name, key := h.New(), h.New()
		name.Write(issuer.RawSubject)
		key.Write(spki.Key.RightAlign())
		if !bytes.Equal(name.Sum(nil), r.ID.NameHash) || !bytes.Equal(key.Sum(nil), r.ID.KeyHash) {
			return errOtherIssuer
		}
		found = true
	}
	if !found {
		return errOtherIssuer
	}
	return nil
}
