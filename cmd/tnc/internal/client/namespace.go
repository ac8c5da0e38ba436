package client

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

// netNS returns the network namespace of the calling thread: "net:[…]".
func netNS() string {
	s, _ := os.Readlink("/proc/thread-self/ns/net")
	return s
}

// namespaceName returns the name of this network namespace, "net-INODE-COOKIE"; ""
// where there is no /proc.
func namespaceName() string {
	inode := namespaceInode(netNS())
	if inode == "" {
		return ""
	}
	return "net-" + inode + "-" + strconv.FormatUint(namespaceCookie(), 10)
}

func namespaceInode(link string) string {
	return strings.TrimSuffix(strings.TrimPrefix(link, "net:["), "]")
}

// inFirstNamespace reports whether this process is in the network namespace of PID
// 1, where it may look at that, or could before it dropped capabilities.
func inFirstNamespace() (first, known bool) {
	if link, err := os.Readlink("/proc/1/ns/net"); err == nil {
		return link == netNS(), true
	}
	switch os.Getenv(namespaceVariable) {
	case firstNamespace + netNS():
		return true, true
	case otherNamespace + netNS():
		return false, true
	}
	return false, false
}

// namespaceVariable is the environment variable that holds what inFirstNamespace
// knew before capabilities were dropped: the link of PID 1 cannot be read then.
const (
	namespaceVariable = "TNC_NETNS"
	firstNamespace    = "first "
	otherNamespace    = "other "
)

// NamespaceVariable returns what is to be in the environment of a program that is
// started with fewer capabilities, so that it uses the run folder that this one does.
func NamespaceVariable() (variable string) {
	first, known := inFirstNamespace()
	switch {
	case first:
		return namespaceVariable + "=" + firstNamespace + netNS()
	case known:
		return namespaceVariable + "=" + otherNamespace + netNS()
	}
	return namespaceVariable + "="
}

// namespaceCookie returns the number of the network namespace that no other one
// gets until the machine is started again, as inodes do; 0 before Linux 5.14.
func namespaceCookie() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return cookie
}

// namespaceNames matches what namespaceName returns.
var namespaceNames = regexp.MustCompile(`^net-([0-9]+)-[0-9]+$`)

// namespaceLives reports whether the namespace of that name is one of the living,
// and not another one that has its inode.
func namespaceLives(name string, living map[string]bool) bool {
	m := namespaceNames.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	own := namespaceName()
	return name == own || living[m[1]] && !strings.HasPrefix(own, "net-"+m[1]+"-")
}

// sweepNamespaces removes the folders of network namespaces that are no more, with
// what killed runs in them left outside of it.
func sweepNamespaces(here RunDir, logger *slog.Logger) {
	base := string(here)
	if namespaceNames.MatchString(filepath.Base(base)) {
		base = filepath.Dir(base)
	}
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	var living map[string]bool
	for _, e := range entries {
		if !e.IsDir() || !namespaceNames.MatchString(e.Name()) {
			continue
		}
		if living == nil {
			living = namespaces()
		}
		if d := RunDir(filepath.Join(base, e.Name())); !namespaceLives(e.Name(), living) && !d.inUse() {
			d.sweep(logger)
		}
	}
}

// inUse reports whether a connection of the folder is up.
func (d RunDir) inUse() bool {
	locks, _ := filepath.Glob(filepath.Join(string(d), "*"+lockExt))
	for _, l := range locks {
		if isLocked(l) {
			return true
		}
	}
	return false
}

// sweep removes the folder of a namespace that is no more. Devices and rules went
// with the namespace; name servers may have been given to the whole machine.
func (d RunDir) sweep(logger *slog.Logger) {
	records, _ := filepath.Glob(filepath.Join(string(d), "*"+recordExt))
	for _, path := range records {
		r, err := readRecord(path)
		if err != nil {
			continue
		}
		if err := r.removeNameServers(); err != nil {
			log.Warnf(log.Group(logger, log.DMN), "remove what a killed run in another network namespace left: %v", err)
		}
	}
	if err := os.RemoveAll(string(d)); err != nil {
		log.Warnf(log.Group(logger, log.DMN), "remove the run folder of a network namespace that is no more: %v", err)
	}
}

// namespaces returns the inodes of the network namespaces that processes are in
// and that are mounted.
func namespaces() map[string]bool {
	found := map[string]bool{}
	links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, l := range links {
		if s, err := os.Readlink(l); err == nil {
			found[namespaceInode(s)] = true
		}
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return found
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var id, parent int
		var device, root string
		if n, _ := fmt.Sscan(s.Text(), &id, &parent, &device, &root); n == 4 && strings.HasPrefix(root, "net:[") {
			found[namespaceInode(root)] = true
		}
	}
	return found
}
