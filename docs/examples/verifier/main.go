// Command verifier is a TNC server over standard input and output, for trying clients:
//
//	verifier FILE=SHA256 …
//
// It asks the client to measure each FILE, and isolates it where one has another SHA-256.
// A batch is a frame: its length as four octets, the highest first, then the batch.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/server"
)

// verifier is an imv.Verifier as the TNC server knows one: the consumer declares the
// interface, and its messages have the fields of the other's.
type verifier struct{ *imv.Verifier }

func (v verifier) Receive(m pb.PA) { v.Verifier.Receive(imv.Message(m)) }

func (v verifier) BatchEnding() (out []pb.PA) {
	for _, m := range v.Verifier.BatchEnding() {
		out = append(out, pb.PA(m))
	}
	return out
}

func (v verifier) Result() (server.Result, bool) {
	d, ok := v.Decision()
	return server.NewResult(pb.Assessment(d.Assessment), pb.Access(d.Recommendation.Access()), d.Reason, d.Language, d.Remediation), ok
}

func main() {
	log.SetFlags(0)
	files := map[string]string{}
	for _, arg := range os.Args[1:] {
		file, digest, _ := strings.Cut(arg, "=")
		files[file] = digest
	}
	v, err := imv.New(imv.Config{Policy: imv.Policy{Files: files}})
	if err != nil {
		log.Fatal(err)
	}
	session := server.New(server.Config{}, verifier{v})
	for err == nil {
		err = exchange(session)
	}
	for _, f := range v.Report().Files {
		log.Printf("%s %x: %v", f.Path, f.Digest, f.Result)
	}
	log.Printf("%s, %s", v.Report().Recommendation, v.Report().Product)
	if err := session.Failure(); err != nil {
		log.Fatal(err)
	}
}

// exchange answers one batch of the client.
func exchange(session *server.Session) error {
	var size uint32
	if err := binary.Read(os.Stdin, binary.BigEndian, &size); err != nil {
		return err
	}
	if size > pb.DefaultMaxBatchEAP {
		return fmt.Errorf("a batch of %d octets", size)
	}
	batch := make([]byte, size)
	if _, err := io.ReadFull(os.Stdin, batch); err != nil {
		return err
	}
	answer, err := session.Receive(batch)
	if err == nil && len(answer) > 0 {
		_, err = os.Stdout.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
	}
	return err
}
