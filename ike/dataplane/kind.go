package dataplane

import "fmt"

// Kind names a data plane.
type Kind string

// Data planes.
const (
	Auto Kind = "auto" // the first one that works
	XFRM Kind = "xfrm" // the kernel's ESP
	TUN  Kind = "tun"  // ESP in this program, over a TUN device
	None Kind = "none" // no packet is carried
)

// ParseKind returns the Kind of that name; "" is Auto.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case "":
		return Auto, nil
	case Auto, XFRM, TUN, None:
		return k, nil
	}
	return "", fmt.Errorf("data plane %q is not known; use auto, xfrm, tun or none", s)
}
