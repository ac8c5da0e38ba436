// Package packages lists what the package managers of Linux systems have
// installed, from their databases: dpkg (Debian, Ubuntu), rpm in SQLite and ndb
// form (Fedora, Red Hat, SUSE), apk (Alpine) and opkg (OpenWrt). Only an rpm
// database of Berkeley DB, and one with changes that are not in its file yet, is
// left to the rpm program, whose time and output are bounded.
//
// The databases are those of the system itself, but may be damaged: no input
// makes a reader panic, and what it allocates is bounded.
package packages
