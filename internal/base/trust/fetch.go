package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

// Limits of HTTP.
const (
	FetchTimeout  = 10 * time.Second // of one URI; charon.plugins.revocation.timeout
	MaxFetch      = 16 << 20         // octets of a CRL or response
	maxRedirects  = 3
	ocspMediaType = "application/ocsp-request"
)

// Origin says who names a URI, and with that what it may lead to.
type Origin int

// Origins.
const (
	// FromPeer is a certificate of the peer's path: http and https only, and no
	// private addresses unless HTTP.PrivateAddresses says so.
	FromPeer Origin = iota
	// FromOwn is a certificate of this end: http and https only.
	FromOwn
	// FromConfig is the configuration: http, https and file.
	FromConfig
)

// Request asks a Fetcher for the content of a URI.
type Request struct {
	URI    string
	Body   []byte // an OCSP request, which is posted; nil gets
	Origin Origin
}

// HTTP is the Fetcher of http and https URIs, and of file URIs that the
// configuration names. It uses the proxies of the environment.
type HTTP struct {
	Timeout time.Duration // of one URI; 0 = FetchTimeout
	// PrivateAddresses allows a peer's certificate to name loopback, link-local,
	// private and multicast addresses.
	PrivateAddresses bool
}

// Fetch returns the content of the URI, which is at most MaxFetch octets long.
func (h HTTP) Fetch(ctx context.Context, r Request) ([]byte, error) {
	u, err := url.Parse(r.URI)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" && r.Body == nil && r.Origin == FromConfig {
		return readFile(u)
	}
	if err := checkScheme(u); err != nil {
		return nil, err
	}
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = FetchTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	method := http.MethodGet
	if r.Body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URI, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", ocspMediaType)
	}
	transport := newTransport(r.Origin == FromPeer && !h.PrivateAddresses)
	defer transport.close()
	client := &http.Client{Transport: transport, CheckRedirect: func(to *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirections")
		}
		return checkScheme(to.URL)
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	return limited(resp.Body)
}

func checkScheme(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no scheme that can be fetched, use http", u.Scheme)
	}
	return nil
}

// transport sends requests, directly or through the proxy of the environment.
type transport struct {
	direct, proxied *http.Transport
	public          bool // refuse private addresses
}

func newTransport(public bool) *transport {
	dialer := &net.Dialer{}
	guarded := &net.Dialer{}
	if public {
		guarded.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return checkPublic(at.Addr())
		}
	}
	return &transport{
		direct:  &http.Transport{DialContext: guarded.DialContext, MaxResponseHeaderBytes: maxHeader},
		proxied: &http.Transport{DialContext: dialer.DialContext, MaxResponseHeaderBytes: maxHeader, Proxy: http.ProxyFromEnvironment},
		public:  public,
	}
}

// maxHeader bounds the header of an answer in octets.
const maxHeader = 64 << 10

func (t *transport) close() {
	t.direct.CloseIdleConnections()
	t.proxied.CloseIdleConnections()
}

// RoundTrip sends one request. The address that a connection is made to is checked
// after the name was resolved. A proxy resolves names itself: there only an address
// in the URI can be checked.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	proxy, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, err
	}
	if proxy == nil {
		return t.direct.RoundTrip(r)
	}
	if a, err := netip.ParseAddr(r.URL.Hostname()); err == nil && t.public {
		if err := checkPublic(a); err != nil {
			return nil, err
		}
	}
	return t.proxied.RoundTrip(r)
}

// PrivateAddressError is returned for an address that a peer's certificate may not
// name.
type PrivateAddressError struct{ Addr netip.Addr }

func (e *PrivateAddressError) Error() string {
	return fmt.Sprintf("%s is no public address, and tnc.fetch.private_addresses is no", e.Addr)
}

// special are ranges beside those that net/netip knows which are no hosts of the
// Internet (RFC 6890), or reach others (RFC 3056, RFC 4380, RFC 8215).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// nat64 is the prefix of IPv6 addresses whose last 32 bits are an IPv4 address (RFC
// 6052 section 2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// checkPublic returns a *PrivateAddressError for an address that is not a public
// unicast one.
func checkPublic(addr netip.Addr) error {
	a := addr.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	private := !a.IsGlobalUnicast() || a.IsPrivate()
	for _, p := range special {
		private = private || p.Contains(a)
	}
	if private {
		return &PrivateAddressError{addr}
	}
	return nil
}

// readFile returns the content of a file URI: a regular file of this machine. It
// does not wait for a FIFO or a device.
func readFile(u *url.URL) ([]byte, error) {
	if u.Host != "" && u.Host != "localhost" {
		return nil, fmt.Errorf("a file of host %q cannot be read", u.Host)
	}
	f, err := os.OpenFile(u.Path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", u.Path)
	}
	return limited(f)
}

// limited reads at most MaxFetch octets; more are an error.
func limited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFetch+1))
	if err == nil && len(b) > MaxFetch {
		err = fmt.Errorf("more than %d octets", MaxFetch)
	}
	return b, err
}
