package swanctl

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Limits on certificate files.
const (
	maxCertFile  = 1 << 20 // octets
	maxCertFiles = 4096    // in x509ca
)

// Authority is authorities.<name>: a CA and where its revocation data is.
type Authority struct {
	Name     string
	Pos      config.Pos
	CACert   string // file, "" = none
	CRLURIs  []string
	OCSPURIs []string
	// CertURIBase, with the hash of a certificate behind it, is where those that the CA
	// issued can be fetched; "" = nowhere.
	CertURIBase string
}

const noToken = "tokens are not supported: put the certificate into a file"

var authorityKeys = keys{
	"cacert": used, "file": used, "crl_uris": used, "ocsp_uris": used,
	"handle": without(noToken), "slot": without(noToken), "module": without(noToken), "cert_uri_base": used,
}

func (m *Config) authority(n *config.Node) {
	a := &Authority{Name: n.Name(), Pos: n.Pos()}
	if v, ok := n.Lookup("cacert"); ok {
		a.CACert = m.path("x509ca", v.Text)
	} else if v, ok := n.Lookup("file"); ok {
		a.CACert = m.path("x509ca", v.Text)
	}
	if v, ok := n.Lookup("crl_uris"); ok {
		a.CRLURIs = v.List()
	}
	if v, ok := n.Lookup("ocsp_uris"); ok {
		a.OCSPURIs = v.List()
	}
	if v, ok := n.Lookup("cert_uri_base"); ok {
		a.CertURIBase = v.Text
	}
	before := len(m.Faults)
	m.unknown(n, authorityKeys, nil, nil, nil, m.fault)
	if len(m.Faults) == before { // else strongSwan discards it
		m.Authorities = append(m.Authorities, a)
	}
}

func (m *Config) fault(e *config.Error) { m.Faults = append(m.Faults, e) }

// Roots are the CA certificates that one end of a connection is held against.
type Roots struct {
	Pool *x509.CertPool // Named, where there are any, else Certs
	// Certs are those of authorities, of x509ca and Named.
	Certs []*x509.Certificate
	// Named are those that the remote rounds of the connection name with
	// cacerts: the path has to lead over one of them.
	Named []*x509.Certificate
	// Missing is the error of who needs a CA where there is none; else nil.
	Missing error
	// Warnings tell of files in x509ca that are not used.
	Warnings []error
}

// Roots loads the CAs for a connection, nil for those of every connection: of
// the directory x509ca beside swanctl.conf, of authorities, and those that its
// remote rounds name. A named file that cannot be used is an error, one of the
// directory a warning.
func (m *Config) Roots(c *Connection) (*Roots, error) {
	r := &Roots{Pool: x509.NewCertPool()}
	if c != nil {
		for _, rd := range c.Remote {
			named, err := m.NamedCAs(rd)
			if err != nil {
				return nil, rd.CAPos.Errorf("load CA certificate of connection %q: %w", c.Name, err)
			}
			r.Named = append(r.Named, named...)
		}
	}
	r.Certs = append(r.Certs, r.Named...)
	for _, a := range m.Authorities {
		if a.CACert == "" {
			continue
		}
		if err := r.add(a.CACert); err != nil {
			return nil, a.Pos.Errorf("load CA certificate of authority %q: %w", a.Name, err)
		}
	}
	dir, _ := m.folder("x509ca")
	files, err := m.Files("x509ca")
	if err != nil {
		return nil, fmt.Errorf("load CA certificates: %w", err)
	}
	for _, f := range files {
		if err := r.add(f); err != nil {
			r.Warnings = append(r.Warnings, fmt.Errorf("load CA certificate: %w", err))
		}
	}
	if len(r.Certs) == 0 {
		r.Missing = errors.Join(append([]error{fmt.Errorf("no CA certificate found: put the one that issued the gateway's certificate into %s", dir)}, r.Warnings...)...)
	}
	pool := r.Named
	if len(pool) == 0 {
		pool = r.Certs
	}
	for _, c := range pool {
		r.Pool.AddCert(c)
	}
	return r, nil
}

// NamedCAs loads the CAs that a remote round names.
func (m *Config) NamedCAs(rd *Round) (named []*x509.Certificate, err error) {
	for _, f := range rd.CACerts {
		certs, err := loadCAs(f)
		if err != nil {
			return nil, err
		}
		named = append(named, certs...)
	}
	return named, nil
}

// Files lists the files of a folder of credentials ("x509crl"); none where there
// is no such folder.
func (m *Config) Files(folder string) ([]string, error) {
	dir, ok := m.folder(folder)
	if !ok {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(entries) > maxCertFiles {
		return nil, fmt.Errorf("%s holds more than %d files", dir, maxCertFiles)
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// WriteFile puts a file into a folder of credentials, readable for all, in
// place of one of that name.
func (m *Config) WriteFile(folder, name string, b []byte) error {
	dir, ok := m.folder(folder)
	if !ok {
		return fmt.Errorf("there is no folder %s", folder)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}

// folder is where a folder of credentials is; false = there is none.
func (m *Config) folder(name string) (string, bool) {
	if m.Folders == nil {
		return filepath.Join(m.Dir, name), true
	}
	dir, ok := m.Folders[name]
	return dir, ok
}

func (r *Roots) add(file string) error {
	certs, err := loadCAs(file)
	r.Certs = append(r.Certs, certs...)
	return err
}

func loadCAs(file string) ([]*x509.Certificate, error) {
	certs, err := LoadCertificates(file)
	if err != nil {
		return nil, err
	}
	for _, c := range certs {
		if !c.IsCA {
			return nil, fmt.Errorf("%s: certificate %q is not of a CA (basic constraints)", file, c.Subject)
		}
	}
	return certs, nil
}

// LoadCertificates reads one DER certificate or all certificates of a PEM file.
func LoadCertificates(file string) ([]*x509.Certificate, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: put the file there, or correct its name", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCertFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxCertFile {
		return nil, fmt.Errorf("%s: larger than %d octets, not a certificate", file, maxCertFile)
	}
	if len(b) > 0 && b[0] == 0x30 && !bytes.Contains(b, []byte("-----BEGIN")) {
		c, err := x509.ParseCertificate(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return []*x509.Certificate{c}, nil
	}
	var certs []*x509.Certificate
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM or DER found", file)
	}
	return certs, nil
}
