// Package tpmkey has the private keys of a configuration that do not leave the TPM:
// persistent ones (secrets.token of swanctl.conf, PIN of ipsec.secrets) and those in
// files "TSS2 PRIVATE KEY" and, of a TPM 1.2, "TSS KEY BLOB". The TPM is opened when it is needed, every use of it is
// bounded in time, and it is closed again soon, since not every way to a TPM can be
// shared with the IMC that quotes.
package tpmkey

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Bounds.
const (
	useTime = 20 * time.Second // of one use of the TPM, and of a busy one
	maxKeys = 2                // loaded at a time: a TPM has room for three objects
)

// keeping is how long the TPM is kept open.
type keeping struct {
	unused time.Duration // for a loaded key that has not signed
	signed time.Duration // after a signature
}

// Behind a resource manager others are not kept waiting. A TPM that serves one program
// at a time is wanted next by the IMC that quotes; two signatures of one AUTH are made
// without a pause.
var (
	keepShared = keeping{10 * time.Second, 5 * time.Second}
	keepOwn    = keeping{time.Second, 5 * time.Millisecond}
)

// Config says which TPM has the keys.
type Config struct {
	Device device.Config
	Logger *slog.Logger // nil discards
	// Password is how errors name the setting of a key's password; "" = as the section
	// that names the key.
	Password string
	// Open opens the TPM; nil = device.Open.
	Open func(context.Context, device.Config) (tpm.TPM, error)
}

// FromSettings returns the Config of the TPM that strongswan.conf names.
func FromSettings(c *config.Config, logger *slog.Logger) Config {
	return Config{Device: device.Config{Name: settings.TCTIName.In(c), Opts: settings.TCTIOpts.In(c)}, Logger: logger}
}

// Keys are the keys of one TPM. It is safe for concurrent use. Close it.
type Keys struct {
	cfg    Config
	log    *slog.Logger
	keep   keeping
	turn   chan struct{} // held during a use of the TPM, guards what follows
	tpm    tpm.TPM       // nil = closed
	loaded map[*Key]signingKey
	uses   int // grows with every use, so that a timer knows whether it is late

	mu      sync.Mutex
	refused map[string]error // keys whose password the TPM refused, by name
}

// New returns the keys; no TPM is opened.
func New(cfg Config) *Keys {
	k := &Keys{cfg: cfg, log: log.Group(cfg.Logger, log.CFG), turn: make(chan struct{}, 1), loaded: map[*Key]signingKey{}, refused: map[string]error{}}
	if k.cfg.Open == nil {
		k.cfg.Open = device.Open
	}
	k.keep = keepOwn
	if d := k.cfg.Device; (d.Name == "" || d.Name == "device") && (d.Opts == "" || strings.HasPrefix(d.Opts, "/dev/tpmrm")) {
		k.keep = keepShared
	}
	return k
}

// use calls f with the TPM, opened. It waits for its turn until ctx ends.
func (k *Keys) use(ctx context.Context, f func(context.Context, tpm.TPM) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, useTime, fmt.Errorf("%w: %v passed", tpm.ErrTimeout, useTime))
	defer cancel()
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	k.uses++
	var err error
	if k.tpm == nil {
		if k.tpm, err = k.open(ctx); err != nil {
			return err
		}
	}
	held := len(k.loaded) > 0
	err = f(ctx, k.tpm)
	if held && errors.Is(err, tpm.ErrGone) && ctx.Err() == nil { // it went away while it was not used
		k.close()
		if k.tpm, err = k.open(ctx); err == nil {
			err = f(ctx, k.tpm)
		}
	}
	if errors.Is(err, tpm.ErrGone) || errors.Is(err, tpm.ErrTimeout) || ctx.Err() != nil {
		k.close() // the transport is of no more use
	}
	return err
}

// open opens the TPM.
func (k *Keys) open(ctx context.Context) (tpm.TPM, error) {
	p, err := k.cfg.Open(ctx, k.cfg.Device)
	if err != nil {
		return nil, err
	}
	if p.Generation() == tpm.TPM12 && k.keep == keepShared {
		k.keep = keepOwn // the kernel shares no TPM 1.2
	}
	return p, nil
}

// close takes all keys out of the TPM and closes it. The caller has the turn.
func (k *Keys) close() {
	k.unload()
	if k.tpm != nil {
		_ = k.tpm.Close()
		k.tpm = nil
	}
}

// unload takes all keys out of the TPM.
func (k *Keys) unload() {
	for key, s := range k.loaded {
		_ = s.Close() // where it fails the TPM is gone, with all that it held
		delete(k.loaded, key)
	}
}

// closeAfter closes the TPM unless it is used within d. The caller has the turn.
func (k *Keys) closeAfter(d time.Duration) {
	uses := k.uses
	time.AfterFunc(d, func() {
		k.turn <- struct{}{}
		defer func() { <-k.turn }()
		if k.uses == uses {
			k.close()
		}
	})
}

// Close takes the keys out of the TPM and closes it; a use that is under way ends
// first, within its time.
func (k *Keys) Close() {
	k.turn <- struct{}{}
	defer func() { <-k.turn }()
	k.close()
}

// Key returns the key of a section token of secrets.
func (k *Keys) Key(t *swanctl.Token) (crypto.Signer, error) {
	key := &Key{
		keys: k, name: fmt.Sprintf("key 0x%08x", t.Handle), pos: t.Pos, pinPos: t.PINPos, pin: len(t.PIN) > 0, pinName: "pin",
		section: "secrets." + t.Name, cfg: tpm20.SigningKeyConfig{Handle: t.Handle, Password: t.PIN},
	}
	return key, key.examine()
}

// FileKey returns the key of a file; of is its section of secrets, nil where it has
// none.
func (k *Keys) FileKey(file string, content []byte, of *swanctl.PrivateKey) (crypto.Signer, error) {
	if keyfile.IsBlob(content) {
		return k.blobKey(file, content, of)
	}
	w, err := keyfile.Parse(content)
	if err != nil {
		return nil, err
	}
	key := &Key{keys: k, name: "key", file: file, pinName: "secret", cfg: tpm20.SigningKeyConfig{Wrapped: &w}, needsPIN: w.NeedsPassword()}
	key.namedBy(of)
	if _, err := w.PublicKey(); err != nil {
		return nil, key.failed(err)
	}
	return key, key.examine()
}

// namedBy takes the password of a file's key from its section of secrets, or as it was
// typed; nil where there is none.
func (k *Key) namedBy(of *swanctl.PrivateKey) {
	if of != nil {
		k.pin, k.cfg.Password = len(of.Passphrase) > 0, of.Passphrase
		if k.pin && of.Asked {
			return
		}
		k.pos, k.pinPos, k.section = of.Pos, of.PassphrasePos, "secrets."+of.Name
	}
}

// Certificate returns the certificate at an NV index.
func (k *Keys) Certificate(index uint32) (*x509.Certificate, error) {
	var b []byte
	err := k.use(context.Background(), func(ctx context.Context, t tpm.TPM) (err error) {
		b, err = readNV(ctx, t, index)
		k.closeAfter(k.keep.unused)
		return err
	})
	what := fmt.Sprintf("certificate at NV index 0x%08x", index)
	if err != nil {
		return nil, &Error{What: what, Certificate: true, Err: err}
	}
	c, err := x509.ParseCertificate(firstElement(b))
	if err != nil {
		return nil, &Error{What: what, Certificate: true, Err: err}
	}
	return c, nil
}

// firstElement returns the DER element that b begins with: an NV index may be larger
// than the certificate in it.
func firstElement(b []byte) []byte {
	if len(b) < 4 || b[0] != 0x30 || b[1] != 0x82 {
		return b
	}
	return b[:min(len(b), 4+int(b[2])<<8+int(b[3]))]
}
