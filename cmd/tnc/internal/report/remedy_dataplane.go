package report

import (
	"errors"
	"os"
	"strings"

	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/tun"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
)

// planeRemedies is what a user can do about a data plane that does not work.
var planeRemedies = []struct {
	err    error
	remedy string
}{
	{tun.ErrNoDevice, "load the kernel module tun (modprobe tun), or pass the device into the container"},
	{xfrm.ErrNoESP, "load the modules esp4, esp6 and xfrm_user, or use data plane tun"},
	{dataplane.ErrNoRight, "run as root, or setcap cap_net_admin+ep"},
	{dataplane.ErrUDP, "allow NAT traversal on the gateway"},
	{os.ErrPermission, "run as root"},
}

func planeRemedy(err error) string {
	for _, r := range planeRemedies {
		if errors.Is(err, r.err) {
			return r.remedy
		}
	}
	return ""
}

// WithPlaneRemedy returns an error of a data plane as a *Sentence, where something
// can be done about it.
func WithPlaneRemedy(err error) error {
	if r := planeRemedy(err); r != "" {
		return &Sentence{err, ": " + r}
	}
	return err
}

// chosenPlaneRemedy is of a *client.PlaneError: what can be done about each data
// plane, or without one.
func chosenPlaneRemedy(err error) string {
	var each []string
	var none *dataplane.NoneWorksError
	if errors.As(err, &none) {
		for i, kind := range none.Kinds {
			if r := planeRemedy(none.Errs[i]); r != "" {
				each = append(each, "for "+string(kind)+" "+r)
			}
		}
	} else if r := planeRemedy(err); r != "" {
		each = append(each, r)
	}
	text := ""
	if len(each) > 0 {
		text = ": " + strings.Join(each, "; ")
	}
	if os.Geteuid() != 0 {
		text += "; --dataplane none carries no packets and needs no rights"
	}
	return text
}
