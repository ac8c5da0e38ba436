// Command attested-client gets a tunnel for a machine that proves what it runs. Its arguments are in the test beside it.
package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/signal"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/tun"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	dlimc.ChildMain() // each IMC runs in a process of its own: this program, started again
	gateway, name, user, password, config, plane := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[6], os.Args[7]
	tls := eap.TLSConfig{Roots: x509.NewCertPool(), ServerName: name}
	tls.Roots.AppendCertsFromPEM(must(os.ReadFile(os.Args[5])))
	client := must(tnccs.NewClient(tnccs.Config{}))
	must(0, dlimc.AddAll(client, config, dlimc.Config{}))
	session := client.NewSession()
	inner := []eap.Offer{md5.Offer([]byte(password)), tnc.OfferPT(tnc.Config{Session: session})}
	outer := ttls.Offer(ttls.Config{TLS: tls, Inner: eap.Config{Identity: user, Methods: inner}})
	cfg := must(ike.EAPOnly(user, name, eap.NewPeer(eap.Config{Identity: user, Methods: []eap.Offer{outer}})))
	carrier := must(dataplane.Open(dataplane.Config{Kind: dataplane.Kind(plane)}, tun.Backend()))
	cfg.ForceEncap = carrier.Info().UDPOnly // ESP in user space travels in UDP
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	carry := dataplane.Carry[*transport.Conn](carrier, func(err error) { log.Print(err) })
	err := transport.Connect(ctx, transport.Config{Remote: must(netip.ParseAddrPort(gateway))}, cfg, carry)
	fmt.Println(session.Outcome().Recommendation, err, carrier.Close(), client.Close())
}
