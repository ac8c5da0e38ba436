package trust

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
		b, err := h.Fetch(context.Background(), uri, body)
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
