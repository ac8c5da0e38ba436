// Package patnc encodes and decodes PA-TNC messages (RFC 5792, TCG IF-M 1.0):
// the message and attribute frames, the IETF and ITA-HSR attributes, the
// PA-TNC Error attribute, and TCG's segmentation (IF-M Segmentation 1.0).
//
// # Usage
//
// A Message holds Attributes, each a Value in its frame: Skip and NoSkip make
// the frame, Message.AppendBinary encodes, Parse decodes. A switch over the types
// of the values handles a message. The error of Parse is a *ParseError: it wraps
// the *gotnc.DecodeError and holds the PA-TNC Error attribute that answers the
// peer.
//
// A Registry brings attribute types of other vendors to Parse; imc/pts has the
// one of TCG's Platform Trust Services. What no Registry knows becomes Raw, which
// encodes to the octets that came.
//
// A Segmenter cuts attributes that are larger than the peer takes at once, with
// Pack or PackOne; a Reassembler joins the segments that the peer sends.
package patnc
