package trust

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHTTP(t *testing.T) {
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) })
	mux.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Header.Get("Content-Type")+" "+string(b))
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		b := make([]byte, 1<<20)
		for range MaxFetch>>20 + 1 {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	defer close(release)
	h := HTTP{}
	get := func(uri string, body []byte) (string, error) {
		b, err := h.Fetch(context.Background(), Request{URI: uri, Body: body, Origin: FromConfig})
		return string(b), err
	}
	got, err := get(srv.URL+"/ok", nil)
	require.NoError(t, err)
	require.Equal(t, "GET", got)
	got, err = get(srv.URL+"/post", []byte("request"))
	require.NoError(t, err)
	require.Equal(t, "application/ocsp-request request", got)
	_, err = get(srv.URL+"/none", nil)
	require.ErrorContains(t, err, "404")
	_, err = get(srv.URL+"/huge", nil)
	require.ErrorContains(t, err, "more than")
	_, err = get(srv.URL+"/loop", nil)
	require.ErrorContains(t, err, "redirections")
	_, err = get("ldap://ca.example.org/cn=CA", nil)
	require.ErrorContains(t, err, "ldap")
	h.Timeout = 50 * time.Millisecond
	_, err = get(srv.URL+"/slow", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	file := filepath.Join(t.TempDir(), "ca.crl")
	require.NoError(t, os.WriteFile(file, []byte("crl"), 0o600))
	got, err = get("file://"+file, nil)
	require.NoError(t, err)
	require.Equal(t, "crl", got)
	_, err = get("file://"+file, []byte("request"))
	require.Error(t, err, "a file answers no OCSP request")
}

// A certificate names http and https only; files are read where the configuration
// names them, regular ones, without waiting.
func TestFileURIs(t *testing.T) {
	dir := t.TempDir()
	file, fifo := filepath.Join(dir, "ca.crl"), filepath.Join(dir, "fifo")
	require.NoError(t, os.WriteFile(file, []byte("crl"), 0o600))
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for _, c := range []struct {
		uri    string
		origin Origin
		says   string // "" = allowed
	}{
		{"file://" + file, FromConfig, ""},
		{"file://localhost" + file, FromConfig, ""},
		{"file://" + file, FromPeer, "no scheme"},
		{"file://" + file, FromOwn, "no scheme"},
		{"ftp://192.0.2.1/crl", FromConfig, "no scheme"},
		{"ldap://192.0.2.1/cn=CA", FromPeer, "no scheme"},
		{"file://other" + file, FromConfig, "host"},
		{"file://" + fifo, FromConfig, "not a regular file"},
		{"file:///dev/zero", FromConfig, "not a regular file"},
		{"file://" + dir, FromConfig, "not a regular file"},
	} {
		done := make(chan error, 1)
		go func() {
			_, err := HTTP{Timeout: time.Second}.Fetch(context.Background(), Request{URI: c.uri, Origin: c.origin})
			done <- err
		}()
		select {
		case err := <-done:
			if c.says == "" {
				require.NoError(t, err, c.uri)
			} else {
				require.ErrorContains(t, err, c.says, c.uri)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: still waiting", c.uri)
		}
	}
}

// What a peer's certificate names does not reach this machine and its network: by
// address, by name, by a redirection.
func TestPrivateAddresses(t *testing.T) {
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, "here")
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	byName := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	for _, uri := range []string{srv.URL, byName, strings.Replace(srv.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		_, err := HTTP{}.Fetch(context.Background(), Request{URI: uri})
		var private *PrivateAddressError
		require.ErrorAs(t, err, &private, uri)
		require.Zero(t, asked.Load())
	}
	for _, origin := range []Origin{FromOwn, FromConfig} {
		_, err := HTTP{}.Fetch(context.Background(), Request{URI: byName, Origin: origin})
		require.NoError(t, err)
		_, err = HTTP{}.Fetch(context.Background(), Request{URI: srv.URL + "/file", Origin: origin})
		require.ErrorContains(t, err, "no scheme", "a redirection leaves http")
	}
	_, err := HTTP{PrivateAddresses: true}.Fetch(context.Background(), Request{URI: srv.URL})
	require.NoError(t, err)

	for text, public := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "64:ff9b::808:808": true,
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false, "10.1.2.3": false, "172.16.0.1": false,
		"192.168.0.1": false, "169.254.169.254": false, "100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"fe80::1%eth0": false, "fd00::1": false, "fec0::1": false, "ff02::1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false,
		"2002:a00:1::": false,
	} {
		err := checkPublic(netip.MustParseAddr(text))
		require.Equal(t, public, err == nil, text)
	}
}

// A redirection does not lead from a public server to a private one: the address of
// each connection is checked.
func TestRedirectionToPrivateAddress(t *testing.T) {
	transport := newTransport(true)
	defer transport.close()
	req, err := http.NewRequest(http.MethodGet, "http://localhost:1/", nil)
	require.NoError(t, err)
	_, err = transport.RoundTrip(req)
	var private *PrivateAddressError
	require.ErrorAs(t, err, &private)
}

// A server that sends an octet now and then is not listened to for longer than the
// time of a URI, nor after the end of the connection.
func TestDrippingServer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte{0x30})
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	defer srv.Close()
	start := time.Now()
	_, err := HTTP{Timeout: 200 * time.Millisecond}.Fetch(context.Background(), Request{URI: srv.URL, Origin: FromConfig})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(200*time.Millisecond, cancel)
	_, err = HTTP{}.Fetch(ctx, Request{URI: srv.URL, Origin: FromConfig})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 5*time.Second)
}
