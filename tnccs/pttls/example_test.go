package pttls_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pttls"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
	"github.com/gotnc/gotnc/tnccs/server"
)

// exampleServer starts a PT-TLS server that asks for a password.
func exampleServer() *pttlstest.Server {
	s, err := pttlstest.New(pttlstest.Config{
		Certificate: keys().server,
		Auth:        pttlstest.AuthSASL,
		Passwords:   map[string]string{"carol": "Ar3etTnp"},
		Session:     func() pttlstest.Session { return server.New(server.Config{}, &imv{after: 1}) },
	})
	if err != nil {
		log.Fatal(err)
	}
	return s
}

// A TNC client attests to a PT-TLS server.
func Example() {
	s := exampleServer()
	defer s.Close()

	client, err := tnccs.NewClient(tnccs.Config{}) // add IMCs to it
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	conn, err := pttls.Dial(context.Background(), s.Addr(), pttls.Config{
		Roots:      keys().roots, // an *x509.CertPool
		ServerName: "aaa.example.org",
		Identity:   "carol",
		Secret:     []byte("Ar3etTnp"),
	})
	if err != nil {
		log.Fatal(err)
	}
	session := client.NewSession()
	defer session.Close()
	if err := conn.Run(context.Background(), session); err != nil {
		log.Fatal(err)
	}
	fmt.Println("authenticated by", conn.Info().Authentication)
	fmt.Println("recommendation:", session.Outcome().Recommendation)
	// Output:
	// authenticated by SASL PLAIN
	// recommendation: allow
}
