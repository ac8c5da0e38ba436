package netns

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"
)

// Iperf measures with iperf3 how many bits a second TCP carries from the client's
// namespace to addr in the gateway's, for some seconds after one that does not count;
// more are further arguments of the client, as "-R", the way back.
func Iperf(t testing.TB, gateway, client, addr string, seconds int, more ...string) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := Command(ctx, gateway, "iperf3", "-s", "-1", "-B", addr)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	args := append([]string{"iperf3", "-c", addr, "-t", strconv.Itoa(seconds), "-O", "1", "-J"}, more...)
	for { // until the server listens
		out, err := Command(ctx, client, args...).Output()
		bits, failure := received(out)
		if failure == nil {
			return bits
		}
		select {
		case <-ctx.Done():
			t.Fatalf("iperf3: %v, %v: %s", err, failure, out)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// received returns the bits a second of a report of iperf3 in JSON. A failure stands in
// there too: with JSON iperf3 exits with 0 where the server does not listen.
func received(report []byte) (float64, error) {
	var r struct {
		End struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
		Error string `json:"error"`
	}
	switch err := json.Unmarshal(report, &r); {
	case err != nil:
		return 0, err
	case r.Error != "" || r.End.Received.BitsPerSecond == 0:
		return 0, fmt.Errorf("nothing was received: %s", r.Error)
	}
	return r.End.Received.BitsPerSecond, nil
}
