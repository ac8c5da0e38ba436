package ifimc

import "fmt"

// Values of TNC_AttributeID that concern a TNC client and its IMCs.
const (
	AttributePreferredLanguage = 0x00000001
	AttributeMaxRoundTrips     = 0x00559700
	AttributeMaxMessageSize    = 0x00559701
	AttributeDHPN              = 0x00559702
	AttributeHasLongTypes      = 0x00559703
	AttributeHasExclusive      = 0x00559704
	AttributeHasSOH            = 0x00559705
	AttributeIFTNCCSProtocol   = 0x0055970A
	AttributeIFTNCCSVersion    = 0x0055970B
	AttributeIFTProtocol       = 0x0055970C
	AttributeIFTVersion        = 0x0055970D
	AttributeTLSUnique         = 0x0055970E
	AttributePrimaryIMCID      = 0x00559711
)

var attributeNames = map[uint32]string{
	AttributePreferredLanguage: "PREFERRED_LANGUAGE",
	AttributeMaxRoundTrips:     "MAX_ROUND_TRIPS",
	AttributeMaxMessageSize:    "MAX_MESSAGE_SIZE",
	AttributeDHPN:              "DHPN",
	AttributeHasLongTypes:      "HAS_LONG_TYPES",
	AttributeHasExclusive:      "HAS_EXCLUSIVE",
	AttributeHasSOH:            "HAS_SOH",
	AttributeIFTNCCSProtocol:   "IFTNCCS_PROTOCOL",
	AttributeIFTNCCSVersion:    "IFTNCCS_VERSION",
	AttributeIFTProtocol:       "IFT_PROTOCOL",
	AttributeIFTVersion:        "IFT_VERSION",
	AttributeTLSUnique:         "TLS_UNIQUE",
	AttributePrimaryIMCID:      "PRIMARY_IMC_ID",
}

// AttributeName returns the name of a TNC_AttributeID without its prefix:
// "MAX_MESSAGE_SIZE", or "attribute 0x00000009" for one that is not listed here.
func AttributeName(id uint32) string {
	if s, ok := attributeNames[id]; ok {
		return s
	}
	return fmt.Sprintf("attribute 0x%08x", id)
}

// Values of AttributeIFTProtocol.
const (
	TransportEAP = "IF-T for Tunneled EAP" // version "1.1" for EAP-TNC, "2.0" for PT-EAP
	TransportTLS = "IF-T for TLS"          // version "2.0"
)
