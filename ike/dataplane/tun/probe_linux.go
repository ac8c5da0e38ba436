package tun

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/gotnc/gotnc/ike/dataplane"
)

// Probe reports why TUN devices cannot be used, nil where they can. It
// changes nothing.
func Probe() error {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return ErrNoDevice
	case err != nil:
		return fmt.Errorf("open %s: %w", tunDevice, err)
	}
	unix.Close(fd)
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	if data[unix.CAP_NET_ADMIN/32].Effective&(1<<(unix.CAP_NET_ADMIN%32)) == 0 {
		return dataplane.ErrNoRight
	}
	return nil
}

// createTUN opens a TUN device; name may hold a %d.
func createTUN(name string) (tun.Device, string, error) {
	fail := func(fd int, err error) (tun.Device, string, error) {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, "", fmt.Errorf("create TUN device %s: %w", name, err)
	}
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(-1, err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fail(fd, err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_TUN_EXCL)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		if errors.Is(err, unix.EBUSY) {
			err = errors.New("a device of that name exists")
		}
		return fail(fd, err)
	}
	dev, got, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return fail(fd, err)
	}
	return dev, got, nil
}
