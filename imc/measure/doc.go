// Package measure reads what the Attestation IMC reports: digests and metadata
// of files (Files, a pts.Measurer), and facts of the operating system
// (Platform, an imc.Platform).
//
// It runs as root on paths that a verifier names, and a verifier is not trusted.
// A path is looked at without being opened (O_PATH), held against the Policy
// under the name where it lies after all symbolic links, and opened only where
// it is a regular file; devices, FIFOs and sockets are never touched. Files,
// octets and seconds of a request are bounded, and a request that a dead network
// file system keeps from ending is left behind after its time. Memory grows with
// neither the size nor, beyond the answer itself, the number of files.
//
// # Settings
//
// In strongswan.conf, below NAME.plugins.imc-attestation, where NAME is the host
// (charon, charon-systemd, …) or libimcv:
//
//	measure_allow        patterns of paths that a verifier may ask for (all)
//	measure_deny         patterns of paths that it may not ask for (none)
//	measure_max_files    files and links of one directory (100000)
//	measure_max_bytes    octets read for one request (68719476736)
//	measure_max_seconds  seconds until the answer (60); the requests of one message
//	                     have 120 together
//
// Patterns are absolute, and separated by blanks or commas. * ? and [classes]
// match within a component (? matches a blank or comma too), ** any number of
// components; a pattern that matches a directory covers all below it. What lies
// below /proc, /sys or /dev, or on a file system of that kind mounted elsewhere,
// is refused unless a pattern of measure_allow begins with that directory:
//
//	measure_allow = / /proc/cmdline
//	measure_deny = /home, /**/*.key
//
// Secrets are refused unless a pattern of measure_allow names them (/etc/shadow,
// not /etc or /etc/*): shadow and gshadow of /etc, ipsec.secrets, ipsec.d/private,
// swanctl.conf, conf.d, private, rsa, ecdsa, pkcs8 and pkcs12 of swanctl, .ssh,
// *.keytab, /run/tnc.
//
// Both hold for the content of system settings (ITA-HSR Get Settings) too. Those
// below /proc and /sys that every user sees as root does (/proc/sys, /proc/version,
// DMI, state of network interfaces, …) need not be named where measure_allow is not
// set; the others need to be.
//
// Both hold for the file, not for its name: hard links to it, bind mounts that show
// it elsewhere, and what a symbolic link that a pattern matches leads to (if root
// made it, or the owner of what it leads to) are refused as well. Names are looked
// for at most once a second; in more than 200,000 files not all are found, and files
// with several links are refused then. Secrets are known under other names where
// they are in /etc, /etc/swanctl, /root, /home and /run/tnc. What no name leads to
// is not known: copies, the layers below an overlay file system, a second mount of a
// network file system, a mount of the same disk in another mount namespace.
//
// measure_deny holds for evidence too: a log of the kernel that it covers
// (/sys/kernel/security/ima, /sys/kernel/security/tpm0) is not sent, and in the list
// of IMA the names of files that it covers are replaced by "(refused)". Their entries
// stay, because the TPM's PCR depends on each: whoever guesses path and content of a
// file can check the guess against the entry's digest.
//
// A refused path, as one beyond a limit, is logged under [PTS] and answered with
// the PTS error Invalid Path; in a directory refused files are left out.
//
// # As strongSwan
//
// Symbolic links are followed, to files and to the directory that is asked for;
// a directory's hidden names and subdirectories are left out. Unlike strongSwan a
// file that cannot be read is answered with Invalid Path instead of no answer to
// the whole message, and a link that leads in circles does not end the list.
package measure
