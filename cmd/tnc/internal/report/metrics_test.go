package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
)

var sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? ([^ ]+)$`)

// parseMetrics parses Prometheus' text format as strictly as expfmt does, and more: each
// family has HELP, then TYPE, then its samples together, none of them twice.
func parseMetrics(text string) (samples map[string]float64, err error) {
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("no newline at the end")
	}
	samples = map[string]float64{}
	families := map[string]string{}
	help, family := "", ""
	for i, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fail := func(what string) error { return fmt.Errorf("line %d: %s: %q", i+1, what, l) }
		if rest, ok := strings.CutPrefix(l, "# HELP "); ok {
			help, _, ok = strings.Cut(rest, " ")
			if !ok || families[help] != "" {
				return nil, fail("HELP")
			}
			family = ""
			continue
		}
		if rest, ok := strings.CutPrefix(l, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if name != help || kind != "gauge" && kind != "counter" {
				return nil, fail("TYPE")
			}
			families[name], family = kind, name
			continue
		}
		m := sampleLine.FindStringSubmatch(l)
		if m == nil || m[1] != family {
			return nil, fail("sample")
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, fail("value")
		}
		if families[family] == "counter" && (!strings.HasSuffix(family, "_total") || value < 0) {
			return nil, fail("counter")
		}
		key := m[1] + m[2]
		if _, twice := samples[key]; twice {
			return nil, fail("twice")
		}
		samples[key] = value
	}
	return samples, nil
}

func TestMetrics(t *testing.T) {
	since := time.UnixMilli(1764400000500)
	all := []client.Status{
		{Connection: "home", State: client.Up, Since: since, LastHeard: since, Decision: client.Decision{Recommendation: client.Isolated},
			Children: make([]client.ChildStatus, 2), Rekeyings: 3, Traffic: client.Traffic{PacketsIn: 1 << 60, BytesOut: 7}},
		{Connection: "a \"b\\c\x1b\n{}=,", State: client.Reconnecting, Decision: client.Decision{Recommendation: client.None},
			Failure: client.Failure{Error: "no", ErrorCode: "no_answer"}, NextAttempt: since},
	}
	var b bytes.Buffer
	WriteMetrics(&b, all, since)
	got, err := parseMetrics(b.String())
	require.NoError(t, err, b.String())
	for name, want := range map[string]float64{
		`tnc_up{connection="home"}`:                                       1,
		`tnc_state{connection="home",state="up"}`:                         1,
		`tnc_state{connection="home",state="trapped"}`:                    0,
		`tnc_recommendation{connection="home",recommendation="isolated"}`: 1,
		`tnc_up_since_timestamp_seconds{connection="home"}`:               1764400000.5,
		`tnc_rekeyings_total{connection="home"}`:                          3,
		`tnc_received_packets_total{connection="home"}`:                   1 << 60,
		`tnc_sent_bytes_total{connection="home"}`:                         7,
		`tnc_child_sas{connection="home"}`:                                2,
		`tnc_up{connection="a \"b\\c  {}=,"}`:                             0,
		`tnc_failed{connection="a \"b\\c  {}=,",error_code="no_answer"}`:  1,
		`tnc_next_attempt_timestamp_seconds{connection="a \"b\\c  {}=,"}`: 1764400000.5,
		`tnc_connections`: 2,
	} {
		value, ok := got[name]
		require.True(t, ok, "%s is missing in\n%s", name, b.String())
		require.Equal(t, want, value, name)
	}
	require.NotContains(t, got, `tnc_up_since_timestamp_seconds{connection="a \"b\\c  {}=,"}`)

	b.Reset()
	WriteMetrics(&b, nil, since)
	got, err = parseMetrics(b.String())
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"tnc_connections": 0, "tnc_scrape_timestamp_seconds": 1764400000.5}, got)
	for _, bad := range []string{"tnc_up 1\n", "# HELP a b\n# TYPE a gauge\na 1\na 2\n", "# HELP a b\n# TYPE a gauge\nb 1\n", "# HELP a b\n# TYPE a gauge\na{x=\"\"y\"} 1\n"} {
		_, err := parseMetrics(bad)
		require.Error(t, err, bad)
	}
}
