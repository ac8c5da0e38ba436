// Package patnc encodes and decodes PA-TNC messages (RFC 5792, TCG IF-M 1.0):
// the message and attribute frames, the IETF and ITA-HSR attributes, the
// PA-TNC Error attribute, and TCG's segmentation (IF-M Segmentation 1.0).
//
// Attribute types of other vendors come in through a Registry that the caller
// passes to Parse; imc/pts has the one of TCG's Platform Trust Services.
package patnc
