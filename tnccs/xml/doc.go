// Package xml is the codec of TNCCS-XML (TCG IF-TNCCS 1.0 to 1.2, which
// strongSwan calls tnccs-1.1): one XML document is one batch. It reads what
// strongSwan (libxml2) and hostapd (a substring search) write, and writes what
// both read.
package xml
