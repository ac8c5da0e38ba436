package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/internal/base/text"
)

// metric is one family of Prometheus' text format, version 0.0.4.
type metric struct {
	name, kind, help string
	// samples calls put with the labels beside the connection's, in pairs, and the value.
	samples func(s client.Status, put func(value float64, labels ...string))
}

// metrics are what status --prometheus prints; their names are an interface.
var metrics = []metric{
	{"tnc_up", "gauge", "Whether the tunnel is up.", func(s client.Status, put func(float64, ...string)) {
		put(oneIf(s.State == client.Up))
	}},
	{"tnc_state", "gauge", "State of the connection: 1 for the one that it is in.", func(s client.Status, put func(float64, ...string)) {
		for _, state := range []string{client.Connecting, client.Up, client.Reconnecting, client.Trapped} {
			put(oneIf(s.State == state), "state", state)
		}
	}},
	{"tnc_recommendation", "gauge", "Newest decision of the gateway's verifiers: 1 for what they decided.", func(s client.Status, put func(float64, ...string)) {
		for _, r := range []client.Recommendation{client.Allowed, client.Isolated, client.Denied, client.None} {
			put(oneIf(s.Recommendation == r), "recommendation", string(r))
		}
	}},
	{"tnc_failed", "gauge", "Whether the newest try or attestation failed, with the kind of failure.", func(s client.Status, put func(float64, ...string)) {
		put(oneIf(s.Error != ""), "error_code", s.ErrorCode)
	}},
	timeMetric("tnc_up_since_timestamp_seconds", "When the tunnel came up.", func(s client.Status) time.Time { return s.Since }),
	timeMetric("tnc_attested_timestamp_seconds", "When the machine was attested last.", func(s client.Status) time.Time { return s.Attested }),
	timeMetric("tnc_gateway_heard_timestamp_seconds", "When the gateway was heard last.", func(s client.Status) time.Time { return s.LastHeard }),
	timeMetric("tnc_next_attempt_timestamp_seconds", "When the gateway is tried again.", func(s client.Status) time.Time { return s.NextAttempt }),
	counter("tnc_rekeyings_total", "SAs that were rekeyed.", func(s client.Status) uint64 { return uint64(s.Rekeyings) }),
	counter("tnc_reconnects_total", "Times that the connection was tried again.", func(s client.Status) uint64 { return uint64(s.Reconnects) }),
	counter("tnc_received_packets_total", "Packets that came through the tunnel.", func(s client.Status) uint64 { return s.PacketsIn }),
	counter("tnc_received_bytes_total", "Octets that came through the tunnel.", func(s client.Status) uint64 { return s.BytesIn }),
	counter("tnc_sent_packets_total", "Packets that went through the tunnel.", func(s client.Status) uint64 { return s.PacketsOut }),
	counter("tnc_sent_bytes_total", "Octets that went through the tunnel.", func(s client.Status) uint64 { return s.BytesOut }),
	{"tnc_child_sas", "gauge", "CHILD_SAs that are installed.", func(s client.Status, put func(float64, ...string)) { put(float64(len(s.Children))) }},
}

func timeMetric(name, help string, at func(client.Status) time.Time) metric {
	return metric{name, "gauge", help, func(s client.Status, put func(float64, ...string)) {
		if t := at(s); !t.IsZero() {
			put(float64(t.UnixMilli()) / 1000)
		}
	}}
}

func counter(name, help string, of func(client.Status) uint64) metric {
	return metric{name, "counter", help, func(s client.Status, put func(float64, ...string)) { put(float64(of(s))) }}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// WriteMetrics writes the states in Prometheus' text format.
func WriteMetrics(w io.Writer, all []client.Status, now time.Time) {
	for _, m := range metrics {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, s := range all {
			m.samples(s, func(value float64, labels ...string) {
				fmt.Fprintf(w, "%s%s %s\n", m.name, labelled(append([]string{"connection", s.Connection}, labels...)), strconv.FormatFloat(value, 'f', -1, 64))
			})
		}
	}
	fmt.Fprintf(w, "# HELP tnc_connections Connections that a tnc up keeps.\n# TYPE tnc_connections gauge\ntnc_connections %d\n", len(all))
	fmt.Fprintf(w, "# HELP tnc_scrape_timestamp_seconds When these figures were read.\n# TYPE tnc_scrape_timestamp_seconds gauge\ntnc_scrape_timestamp_seconds %s\n",
		strconv.FormatFloat(float64(now.UnixMilli())/1000, 'f', -1, 64))
}

// labelValues escapes what the value of a label cannot hold.
var labelValues = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// labelled writes pairs of a name and a value as labels.
func labelled(pairs []string) string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, fmt.Sprintf(`%s="%s"`, pairs[i], labelValues.Replace(text.Printable(pairs[i+1]))))
	}
	return "{" + strings.Join(out, ",") + "}"
}
