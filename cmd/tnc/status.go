package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/ike/esp"
)

// connectionStatus is what tnc status shows; its JSON names are an interface.
type connectionStatus struct {
	Connection     string    `json:"connection"`
	State          string    `json:"state"` // connecting, up, reconnecting, trapped
	PID            int       `json:"pid"`
	Since          time.Time `json:"since,omitzero"`
	Attested       time.Time `json:"attested,omitzero"`
	Gateway        string    `json:"gateway"`
	GatewayID      string    `json:"gateway_id,omitempty"`
	Identity       string    `json:"identity"`
	Recommendation string    `json:"recommendation"`
	Assessment     string    `json:"assessment,omitempty"`
	IKEProposal    string    `json:"ike_proposal,omitempty"`
	Dataplane      string    `json:"dataplane"`
	Device         string    `json:"device,omitempty"`
	VirtualIPs     []string  `json:"virtual_ips,omitempty"`
	DNS            []string  `json:"dns,omitempty"`
	Children       []child   `json:"children,omitempty"`
	Rekeyings      int       `json:"rekeyings"`
	Reconnects     int       `json:"reconnects"`
	PacketsIn      uint64    `json:"packets_in"`
	BytesIn        uint64    `json:"bytes_in"`
	PacketsOut     uint64    `json:"packets_out"`
	BytesOut       uint64    `json:"bytes_out"`
}

func (c *connection) status() connectionStatus {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	s := connectionStatus{
		Connection: c.Connection.Name, State: c.life.state, PID: os.Getpid(), Since: c.life.since, Attested: c.life.attested,
		Gateway: c.out.Gateway, GatewayID: c.out.GatewayID, Identity: c.out.Identity, Recommendation: c.out.Recommendation,
		Assessment: c.out.Assessment, IKEProposal: c.out.IKEProposal, Dataplane: "none", Rekeyings: c.life.rekeys, Reconnects: c.life.reconnects,
	}
	for _, a := range c.life.internal.Addresses {
		s.VirtualIPs = append(s.VirtualIPs, a.Addr().String())
	}
	for _, d := range c.life.internal.DNS {
		s.DNS = append(s.DNS, d.String())
	}
	for _, ch := range c.life.children {
		s.Children = append(s.Children, *ch)
	}
	sort.Slice(s.Children, func(i, j int) bool { return s.Children[i].SPIIn < s.Children[j].SPIIn })
	switch p := c.plane.(type) {
	case *devicePlane:
		s.Dataplane = string(p.kind)
		if p.plane != nil {
			st := p.plane.Stats()
			s.Device = p.plane.Device()
			s.PacketsIn, s.BytesIn, s.PacketsOut, s.BytesOut = st.InPackets, st.InBytes, st.OutPackets, st.OutBytes
		}
	case *kernelPlane:
		s.Dataplane = string(esp.XFRM)
		if p.plane != nil {
			st := p.plane.Stats()
			s.PacketsIn, s.BytesIn, s.PacketsOut, s.BytesOut = st.InPackets, st.InBytes, st.OutPackets, st.OutBytes
		}
	}
	return s
}

func (s *connectionStatus) write(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, text.Printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(t, "%s\t%s\n", s.Connection, s.State)
	if !s.Since.IsZero() {
		row("since", "%s (%v)", s.Since.Format(time.DateTime), time.Since(s.Since).Round(time.Second))
	}
	row("gateway", "%s, %s", s.GatewayID, s.Gateway)
	row("identity", "%s", s.Identity)
	decision := s.Recommendation
	if s.Assessment != "" {
		decision += ", " + s.Assessment
	}
	row("decision", "%s", decision)
	if s.IKEProposal != "" {
		row("IKE_SA", "%s", strings.TrimPrefix(s.IKEProposal, "IKE:"))
	}
	for _, c := range s.Children {
		row("CHILD_SA", "%s: %s, %s === %s, SPIs %s_i %s_o", c.Name, strings.TrimPrefix(c.Proposal, "ESP:"),
			strings.Join(c.LocalTS, " "), strings.Join(c.RemoteTS, " "), c.SPIIn, c.SPIOut)
	}
	if len(s.VirtualIPs) > 0 {
		row("virtual IP", "%s", strings.Join(s.VirtualIPs, " "))
	}
	if len(s.DNS) > 0 {
		row("DNS", "%s", strings.Join(s.DNS, " "))
	}
	row("data plane", "%s %s", s.Dataplane, s.Device)
	row("traffic", "in %d packets, %d bytes; out %d packets, %d bytes", s.PacketsIn, s.BytesIn, s.PacketsOut, s.BytesOut)
	row("rekeyings", "%d, reconnections %d", s.Rekeyings, s.Reconnects)
	_ = t.Flush()
}

func newStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the connections that are up",
		Example: `  tnc status
  tnc status home --json | jq -r .[0].state`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("tnc status takes the name of one connection, or none for all")
			}
			return nil
		},
		ValidArgsFunction: completeUp,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := filepath.Glob(filepath.Join(runDir(), "*.sock"))
			if err != nil {
				return err
			}
			all := []connectionStatus{}
			for _, path := range names {
				b, err := ask(cmd.Context(), path, "status")
				if errors.Is(err, os.ErrPermission) {
					return fmt.Errorf("ask the connection behind %s: %w: run as root", path, err)
				}
				var s connectionStatus
				if err != nil || json.Unmarshal(b, &s) != nil {
					continue // it was killed
				}
				if len(args) == 0 || s.Connection == args[0] {
					all = append(all, s)
				}
			}
			w := cmd.OutOrStdout()
			if asJSON {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				if err := enc.Encode(all); err != nil {
					return err
				}
			}
			switch {
			case len(all) == 0 && len(args) == 1:
				return fmt.Errorf("connection %q is not up: start it with tnc up %s", args[0], args[0])
			case len(all) == 0 && !asJSON:
				fmt.Fprintln(w, "no connection is up")
			case !asJSON:
				for i := range all {
					all[i].write(w)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
