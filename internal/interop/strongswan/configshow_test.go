package strongswan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shown is what tnc config show --json says of a connection.
type shown struct {
	Name          string   `json:"name"`
	Passive       string   `json:"passive"`
	Problems      []string `json:"problems"`
	Version       int      `json:"version"`
	LocalAddrs    []string `json:"local_addrs"`
	RemoteAddrs   []string `json:"remote_addrs"`
	LocalPort     int      `json:"local_port"`
	RemotePort    int      `json:"remote_port"`
	Proposals     []string `json:"proposals"`
	VirtualIPs    []string `json:"vips"`
	MOBIKE        bool     `json:"mobike"`
	Encap         bool     `json:"encap"`
	Fragmentation string   `json:"fragmentation"`
	Childless     string   `json:"childless"`
	KeyingTries   int      `json:"keyingtries"`
	SendCert      string   `json:"send_cert"`
	SendCertReq   bool     `json:"send_certreq"`
	OCSP          string   `json:"ocsp"`
	DPDDelay      int      `json:"dpd_delay"`
	RekeyTime     int      `json:"rekey_time"`
	ReauthTime    int      `json:"reauth_time"`
	OverTime      int      `json:"over_time"`
	RandTime      int      `json:"rand_time"`
	PPKID         string   `json:"ppk_id"`
	PPKRequired   bool     `json:"ppk_required"`
	IfIDIn        uint32   `json:"if_id_in"`
	IfIDOut       uint32   `json:"if_id_out"`
	Local         []shownRound
	Remote        []shownRound
	Children      []shownChild
}

type shownRound struct {
	Class      string   `json:"class"`
	Method     string   `json:"method"`
	ID         string   `json:"id"`
	Loose      bool     `json:"loose"`
	EAPID      string   `json:"eap_id"`
	AAAID      string   `json:"aaa_id"`
	Groups     []string `json:"groups"`
	Certs      []string `json:"certs"`
	CACerts    []string `json:"cacerts"`
	CAID       string   `json:"ca_id"`
	PubKeys    []string `json:"pubkeys"`
	Revocation string   `json:"revocation"`
	CertPolicy []string `json:"cert_policy"`
}

type shownChild struct {
	Name        string   `json:"name"`
	Mode        string   `json:"mode"`
	Proposals   []string `json:"proposals"`
	LocalTS     []string `json:"local_ts"`
	RemoteTS    []string `json:"remote_ts"`
	RekeyTime   int      `json:"rekey_time"`
	LifeTime    int      `json:"life_time"`
	RandTime    int      `json:"rand_time"`
	StartAction string   `json:"start_action"`
	CloseAction string   `json:"close_action"`
	DPDAction   string   `json:"dpd_action"`
	Updown      string   `json:"updown"`
	Interface   string   `json:"interface"`
	IfIDIn      uint32   `json:"if_id_in"`
	IfIDOut     uint32   `json:"if_id_out"`
	MarkIn      string   `json:"mark_in"`
	MarkOut     string   `json:"mark_out"`
}

// tncProgram builds tnc once.
func tncProgram(t *testing.T) string {
	t.Helper()
	if built.tnc != "" {
		return built.tnc
	}
	dir, err := os.MkdirTemp("", "tnc-build")
	require.NoError(t, err)
	if built.dir == "" {
		built.dir = dir
	}
	path := filepath.Join(dir, "tnc")
	out, err := exec.Command("go", "build", "-o", path, "../../../cmd/tnc").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// show returns what tnc understands of a configuration; the error is its
// sentence where it cannot read the file at all.
// It runs in the network namespace of charon, whose addresses count.
func show(t *testing.T, charon *configCharon, program string, args ...string) ([]shown, error) {
	t.Helper()
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(charon.pid), "-n", program, "config", "show", "--json", "--tnc-config", "/dev/null"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		require.NotContains(t, stderr.String(), "panic", "tnc %s", strings.Join(args, " "))
		return nil, fmt.Errorf("%s", strings.TrimSpace(stderr.String()))
	}
	var all []shown
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &all), "%s", stdout.String())
	return all, nil
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func index(list []string, s string) string {
	for i, v := range list {
		if v == s {
			return strconv.Itoa(i)
		}
	}
	return "?" + s
}

// fields are those of the vici plugin's log.
func (s shown) fields() fields {
	f := fields{
		"version": strconv.Itoa(s.Version), "local_addrs": hostList(s.LocalAddrs), "remote_addrs": hostList(s.RemoteAddrs),
		"local_port": strconv.Itoa(s.LocalPort), "remote_port": strconv.Itoa(s.RemotePort), "send_certreq": bit(s.SendCertReq),
		"send_cert": map[string]string{"always": "CERT_ALWAYS_SEND", "ifasked": "CERT_SEND_IF_ASKED", "never": "CERT_NEVER_SEND"}[s.SendCert],
		"ocsp":      "OCSP_SEND_" + strings.ToUpper(s.OCSP), "mobike": bit(s.MOBIKE), "encap": bit(s.Encap), "dpd_delay": strconv.Itoa(s.DPDDelay),
		"fragmentation": index([]string{"no", "accept", "yes", "force"}, s.Fragmentation), "childless": index([]string{"allow", "prefer", "never", "force"}, s.Childless),
		"keyingtries": strconv.Itoa(s.KeyingTries), "rekey_time": strconv.Itoa(s.RekeyTime), "reauth_time": strconv.Itoa(s.ReauthTime),
		"over_time": strconv.Itoa(s.OverTime), "rand_time": strconv.Itoa(s.RandTime), "ppk_required": bit(s.PPKRequired),
		"if_id_in": fmt.Sprint(s.IfIDIn), "if_id_out": fmt.Sprint(s.IfIDOut), "proposals": strings.Join(s.Proposals, ", "),
		"vips": strings.Join(s.VirtualIPs, "; "), "ppk_id": s.PPKID,
	}
	for i, r := range s.Local {
		r.put(f, fmt.Sprintf("local-%d.", i+1))
	}
	for i, r := range s.Remote {
		r.put(f, fmt.Sprintf("remote-%d.", i+1))
	}
	for _, c := range s.Children {
		for k, v := range map[string]string{
			"rekey_time": strconv.Itoa(c.RekeyTime), "life_time": strconv.Itoa(c.LifeTime), "rand_time": strconv.Itoa(c.RandTime), "updown": c.Updown,
			"mode": strings.ToUpper(c.Mode), "start_action": c.StartAction, "close_action": c.CloseAction, "dpd_action": c.DPDAction,
			"interface": c.Interface, "if_id_in": fmt.Sprint(c.IfIDIn), "if_id_out": fmt.Sprint(c.IfIDOut), "mark_in": c.MarkIn, "mark_out": c.MarkOut,
			"proposals": strings.Join(c.Proposals, ", "), "local_ts": strings.Join(c.LocalTS, " "), "remote_ts": strings.Join(c.RemoteTS, " "),
		} {
			f["child "+c.Name+"."+k] = v
		}
	}
	return f.normal()
}

func (r shownRound) put(f fields, path string) {
	for k, v := range map[string]string{
		"class": map[string]string{"pubkey": "public key", "psk": "pre-shared key", "eap": "EAP"}[r.Class], "id": r.ID, "eap_id": r.EAPID, "aaa_id": r.AAAID,
		"ca_id": r.CAID, "cert": strings.Join(r.Certs, "; "), "cacert": strings.Join(r.CACerts, "; "), "group": strings.Join(r.Groups, "; "),
		"revocation": map[string]string{"strict": "GOOD", "ifuri": "SKIPPED"}[r.Revocation],
	} {
		f[path+k] = v
	}
	if r.Method != "" {
		f[path+"eap-type"] = "EAP_" + strings.ToUpper(strings.ReplaceAll(r.Method, "-", "_"))
	}
}

func hostList(addrs []string) string {
	if len(addrs) == 0 {
		return "%any"
	}
	return strings.Join(addrs, ", ")
}

// compared are the fields that are compared; others have no counterpart here.
var compared = regexp.MustCompile(`^(version|local_addrs|remote_addrs|local_port|remote_port|send_certreq|send_cert|ocsp|ppk_id|ppk_required|mobike|encap|dpd_delay|fragmentation|childless|keyingtries|reauth_time|rekey_time|over_time|rand_time|proposals|if_id_in|if_id_out|vips|(local|remote)-\d\.(class|id|eap-type|eap_id|aaa_id|ca_id|cert|cacert|group|revocation)|child .*\.(rekey_time|life_time|rand_time|updown|mode|start_action|close_action|dpd_action|interface|if_id_in|if_id_out|mark_in|mark_out|proposals|local_ts|remote_ts))$`)

var inBrackets = regexp.MustCompile(`\[(\w+)/([a-z][a-z0-9-]*)\]`)

// normal returns the fields that are compared, in one way of writing.
func (f fields) normal() fields {
	out := fields{}
	for k, v := range f {
		if !compared.MatchString(k) {
			continue
		}
		last := k[strings.LastIndexByte(k, '.')+1:]
		switch {
		case v == "(null)", v == "%any" && (last == "id" || last == "eap_id"):
			v = ""
		case last == "dpd_action" && v == "clear", last == "close_action" && v == "clear":
			v = "none"
		case strings.HasSuffix(last, "_action"):
			v = map[string]string{"restart": "start", "start|trap": "trap|start", "trap | start": "trap|start", "start, trap": "trap|start"}[v] + ""
			if v == "" {
				v = f[k]
			}
		case last == "dpd_delay" && v == "0":
			v = ""
		case last == "local_port" && v == "0": // that of charon.port
			v = "500"
		case last == "vips":
			all := strings.Split(v, "; ")
			for i, a := range all {
				switch a {
				case "0.0.0.0":
					all[i] = "%any"
				case "::":
					all[i] = "%any6"
				}
			}
			v = strings.Join(all, "; ")
		case strings.HasSuffix(last, "_ts"):
			v = inBrackets.ReplaceAllStringFunc(v, func(s string) string {
				m := inBrackets.FindStringSubmatch(s)
				network := m[1]
				if network != "udp" {
					network = "tcp"
				}
				if port, err := net.LookupPort(network, m[2]); err == nil {
					return fmt.Sprintf("[%s/%d]", m[1], port)
				}
				return s
			})
		case strings.HasPrefix(last, "mark_"):
			v = normalMark(v)
		case strings.HasSuffix(last, "_addrs"):
			v = strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }), ", ")
		}
		// stroke names a CA that it finds by its certificate.
		if path, ok := strings.CutSuffix(k, ".cacert"); ok && f[path+".ca_id"] == "" {
			k = path + ".ca_id"
		}
		if v != "" {
			out[k] = v
		}
	}
	for k := range out { // at least a second is left
		if path, ok := strings.CutSuffix(k, "rand_time"); ok {
			whole := 0
			for _, t := range []string{"rekey_time", "reauth_time"} {
				if n, _ := strconv.Atoi(out[path+t]); n > 0 && (whole == 0 || n < whole) {
					whole = n
				}
			}
			n, _ := strconv.Atoi(out[k])
			out[k] = strconv.Itoa(max(min(n, whole-1), 0))
		}
	}
	return out
}

// normalMark writes a mark as decimal numbers.
func normalMark(v string) string {
	value, mask, _ := strings.Cut(v, "/")
	a, _ := strconv.ParseUint(value, 0, 32)
	b, _ := strconv.ParseUint(mask, 0, 32)
	if a == 0 && b == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", a, b)
}

// differences names the fields in which ours differ from strongSwan's; only those
// that keys matches, nil for all.
func differences(theirs, ours fields, keys *regexp.Regexp) []string {
	all := map[string]bool{}
	for k := range theirs {
		all[k] = true
	}
	for k := range ours {
		all[k] = true
	}
	var out []string
	for k := range all {
		if strings.HasSuffix(k, ".class") && theirs[k] == "" {
			continue // any: the most exact of what strongSwan allows is taken here
		}
		if theirs[k] != ours[k] && (keys == nil || keys.MatchString(k)) {
			out = append(out, fmt.Sprintf("%s: strongSwan %q, tnc %q", k, theirs[k], ours[k]))
		}
	}
	sort.Strings(out)
	return out
}
