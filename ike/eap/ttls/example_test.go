package ttls_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"math/big"
	"time"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/server"
	"github.com/gotnc/gotnc/ike/eap/ttls"
)

// A whole conversation of EAP-TTLS with EAP-MD5 in the tunnel, both ends in
// memory. In IKEv2 the packets travel in IKE_AUTH exchanges.
func Example() {
	certificate, roots := selfSigned("moon.strongswan.org")

	peer := eap.NewPeer(eap.Config{Identity: "anonymous", Methods: []eap.Offer{ttls.Offer(ttls.Config{
		TLS:   eap.TLSConfig{Roots: roots, ServerName: "moon.strongswan.org"},
		Inner: eap.Config{Identity: "carol", Methods: []eap.Offer{md5.Offer([]byte("Ar3etTnp"))}},
	})}})
	defer peer.Close()

	gateway := server.NewTTLS(server.TTLSConfig{
		Config: server.Config{TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}},
		Inner:  &passwords{users: map[string]string{"carol": "Ar3etTnp"}},
	})
	defer gateway.Close()

	packet := gateway.Start()
	for {
		response, status, err := peer.Handle(packet)
		if status != eap.StatusContinue {
			fmt.Println("peer:", status, err)
			break
		}
		if packet, status, err = gateway.Handle(response); status != eap.StatusContinue {
			fmt.Println("server:", status, err)
		}
	}
	fmt.Println("same key of", len(peer.MSK()), "octets:", string(peer.MSK()) == string(gateway.MSK()))
	// Output:
	// server: success <nil>
	// peer: success <nil>
	// same key of 64 octets: true
}

// passwords is the authentication inside the tunnel: a name, then MD5.
type passwords struct {
	users     map[string]string
	name      string
	challenge *server.MD5
}

func (p *passwords) Handle(response []byte) (request []byte, err error) {
	packet, err := eap.Parse(response)
	if err != nil {
		return nil, err
	}
	if packet.Type == eap.TypeIdentity {
		p.name = string(packet.Data)
		challenge, data, err := server.NewMD5(1)
		if err != nil {
			return nil, err
		}
		p.challenge = challenge
		return eap.Packet{Code: eap.CodeRequest, ID: 1, Type: eap.TypeMD5, Data: data}.AppendBinary(nil)
	}
	if packet.Type != eap.TypeMD5 || p.challenge == nil || !p.challenge.Verify(packet.Data, []byte(p.users[p.name])) {
		return nil, errors.New("wrong name or password")
	}
	return nil, nil // success
}

// selfSigned makes a certificate of the server and the pool that trusts it.
func selfSigned(name string) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
