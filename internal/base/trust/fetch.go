package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Limits of HTTP.
const (
	FetchTimeout  = 10 * time.Second // of one URI; charon.plugins.revocation.timeout
	MaxFetch      = 16 << 20         // octets of a CRL or response
	maxRedirects  = 3
	ocspMediaType = "application/ocsp-request"
)

// HTTP is the Fetcher of http, https and file URIs.
type HTTP struct {
	Timeout time.Duration // 0 = FetchTimeout
	Client  *http.Client  // nil = a client that follows at most 3 redirections
}

// Fetch returns the content of uri, which is at most MaxFetch octets long.
func (h HTTP) Fetch(ctx context.Context, uri string, body []byte) ([]byte, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" && body == nil {
		f, err := os.Open(u.Path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return limited(f)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no scheme that can be fetched, use http", u.Scheme)
	}
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = FetchTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, uri, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", ocspMediaType)
	}
	client := h.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirections")
			}
			return nil
		}}
	}
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

// limited reads at most MaxFetch octets; more are an error.
func limited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFetch+1))
	if err == nil && len(b) > MaxFetch {
		err = fmt.Errorf("more than %d octets", MaxFetch)
	}
	return b, err
}
