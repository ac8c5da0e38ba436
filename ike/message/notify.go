package message

import (
	"fmt"
	"math"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// NotifyType is a notify message type; values below 16384 report errors.
type NotifyType uint16

// Notify types: errors.
const (
	UnsupportedCriticalPayload NotifyType = 1
	InvalidIKESPI              NotifyType = 4
	InvalidMajorVersion        NotifyType = 5
	InvalidSyntax              NotifyType = 7
	InvalidMessageID           NotifyType = 9
	InvalidSPI                 NotifyType = 11
	NoProposalChosen           NotifyType = 14
	InvalidKEPayload           NotifyType = 17
	AuthenticationFailed       NotifyType = 24
	SinglePairRequired         NotifyType = 34
	NoAdditionalSAs            NotifyType = 35
	InternalAddressFailure     NotifyType = 36
	FailedCPRequired           NotifyType = 37
	TSUnacceptable             NotifyType = 38
	InvalidSelectors           NotifyType = 39
	UnacceptableAddresses      NotifyType = 40
	UnexpectedNATDetected      NotifyType = 41
	UseAssignedHoA             NotifyType = 42
	TemporaryFailure           NotifyType = 43
	ChildSANotFound            NotifyType = 44
	StateNotFound              NotifyType = 47
	TSMaxQueue                 NotifyType = 48
)

// Notify types: status.
const (
	InitialContact                NotifyType = 16384
	SetWindowSize                 NotifyType = 16385
	AdditionalTSPossible          NotifyType = 16386
	IPCOMPSupported               NotifyType = 16387
	NATDetectionSourceIP          NotifyType = 16388
	NATDetectionDestinationIP     NotifyType = 16389
	Cookie                        NotifyType = 16390
	UseTransportMode              NotifyType = 16391
	HTTPCertLookupSupported       NotifyType = 16392
	RekeySA                       NotifyType = 16393
	ESPTFCPaddingNotSupported     NotifyType = 16394
	NonFirstFragmentsAlso         NotifyType = 16395
	MOBIKESupported               NotifyType = 16396
	AdditionalIP4Address          NotifyType = 16397
	AdditionalIP6Address          NotifyType = 16398
	NoAdditionalAddresses         NotifyType = 16399
	UpdateSAAddresses             NotifyType = 16400
	Cookie2                       NotifyType = 16401
	NoNATsAllowed                 NotifyType = 16402
	AuthLifetime                  NotifyType = 16403
	MultipleAuthSupported         NotifyType = 16404
	AnotherAuthFollows            NotifyType = 16405
	RedirectSupported             NotifyType = 16406
	Redirect                      NotifyType = 16407
	RedirectedFrom                NotifyType = 16408
	EAPOnlyAuthentication         NotifyType = 16417
	ChildlessIKEv2Supported       NotifyType = 16418
	QuickCrashDetection           NotifyType = 16419
	FragmentationSupported        NotifyType = 16430
	SignatureHashAlgorithms       NotifyType = 16431
	UsePPK                        NotifyType = 16435
	PPKIdentity                   NotifyType = 16436
	NoPPKAuth                     NotifyType = 16437
	IntermediateExchangeSupported NotifyType = 16438
	AdditionalKeyExchange         NotifyType = 16441
)

// notifyNames holds the registry's name and strongSwan's short name.
var notifyNames = map[NotifyType][2]string{
	UnsupportedCriticalPayload: {"UNSUPPORTED_CRITICAL_PAYLOAD", "CRIT"},
	InvalidIKESPI:              {"INVALID_IKE_SPI", "INVAL_IKE_SPI"},
	InvalidMajorVersion:        {"INVALID_MAJOR_VERSION", "INVAL_MAJOR"},
	InvalidSyntax:              {"INVALID_SYNTAX", "INVAL_SYN"},
	InvalidMessageID:           {"INVALID_MESSAGE_ID", "INVAL_MID"},
	InvalidSPI:                 {"INVALID_SPI", "INVAL_SPI"},
	NoProposalChosen:           {"NO_PROPOSAL_CHOSEN", "NO_PROP"},
	InvalidKEPayload:           {"INVALID_KE_PAYLOAD", "INVAL_KE"},
	AuthenticationFailed:       {"AUTHENTICATION_FAILED", "AUTH_FAILED"},
	SinglePairRequired:         {"SINGLE_PAIR_REQUIRED", "SINGLE_PAIR"},
	NoAdditionalSAs:            {"NO_ADDITIONAL_SAS", "NO_ADD_SAS"},
	InternalAddressFailure:     {"INTERNAL_ADDRESS_FAILURE", "INT_ADDR_FAIL"},
	FailedCPRequired:           {"FAILED_CP_REQUIRED", "FAIL_CP_REQ"},
	TSUnacceptable:             {"TS_UNACCEPTABLE", "TS_UNACCEPT"},
	InvalidSelectors:           {"INVALID_SELECTORS", "INVAL_SEL"},
	UnacceptableAddresses:      {"UNACCEPTABLE_ADDRESSES", "UNACCEPT_ADDR"},
	UnexpectedNATDetected:      {"UNEXPECTED_NAT_DETECTED", "UNEXPECT_NAT"},
	UseAssignedHoA:             {"USE_ASSIGNED_HoA", "ASSIGNED_HoA"},
	TemporaryFailure:           {"TEMPORARY_FAILURE", "TEMP_FAIL"},
	ChildSANotFound:            {"CHILD_SA_NOT_FOUND", "NO_CHILD_SA"},
	StateNotFound:              {"STATE_NOT_FOUND", "NO_STATE"},
	TSMaxQueue:                 {"TS_MAX_QUEUE", "TS_MAX_QUEUE"},

	InitialContact:                {"INITIAL_CONTACT", "INIT_CONTACT"},
	SetWindowSize:                 {"SET_WINDOW_SIZE", "SET_WINSIZE"},
	AdditionalTSPossible:          {"ADDITIONAL_TS_POSSIBLE", "ADD_TS_POSS"},
	IPCOMPSupported:               {"IPCOMP_SUPPORTED", "IPCOMP_SUPP"},
	NATDetectionSourceIP:          {"NAT_DETECTION_SOURCE_IP", "NATD_S_IP"},
	NATDetectionDestinationIP:     {"NAT_DETECTION_DESTINATION_IP", "NATD_D_IP"},
	Cookie:                        {"COOKIE", "COOKIE"},
	UseTransportMode:              {"USE_TRANSPORT_MODE", "USE_TRANSP"},
	HTTPCertLookupSupported:       {"HTTP_CERT_LOOKUP_SUPPORTED", "HTTP_CERT_LOOK"},
	RekeySA:                       {"REKEY_SA", "REKEY_SA"},
	ESPTFCPaddingNotSupported:     {"ESP_TFC_PADDING_NOT_SUPPORTED", "ESP_TFC_PAD_N"},
	NonFirstFragmentsAlso:         {"NON_FIRST_FRAGMENTS_ALSO", "NON_FIRST_FRAG"},
	MOBIKESupported:               {"MOBIKE_SUPPORTED", "MOBIKE_SUP"},
	AdditionalIP4Address:          {"ADDITIONAL_IP4_ADDRESS", "ADD_4_ADDR"},
	AdditionalIP6Address:          {"ADDITIONAL_IP6_ADDRESS", "ADD_6_ADDR"},
	NoAdditionalAddresses:         {"NO_ADDITIONAL_ADDRESSES", "NO_ADD_ADDR"},
	UpdateSAAddresses:             {"UPDATE_SA_ADDRESSES", "UPD_SA_ADDR"},
	Cookie2:                       {"COOKIE2", "COOKIE2"},
	NoNATsAllowed:                 {"NO_NATS_ALLOWED", "NO_NATS"},
	AuthLifetime:                  {"AUTH_LIFETIME", "AUTH_LFT"},
	MultipleAuthSupported:         {"MULTIPLE_AUTH_SUPPORTED", "MULT_AUTH"},
	AnotherAuthFollows:            {"ANOTHER_AUTH_FOLLOWS", "AUTH_FOLLOWS"},
	RedirectSupported:             {"REDIRECT_SUPPORTED", "REDIR_SUP"},
	Redirect:                      {"REDIRECT", "REDIR"},
	RedirectedFrom:                {"REDIRECTED_FROM", "REDIR_FROM"},
	16409:                         {"TICKET_LT_OPAQUE", "TKT_LT_OPAK"},
	16410:                         {"TICKET_REQUEST", "TKT_REQ"},
	16411:                         {"TICKET_ACK", "TKT_ACK"},
	16412:                         {"TICKET_NACK", "TKT_NACK"},
	16413:                         {"TICKET_OPAQUE", "TKT_OPAK"},
	16414:                         {"LINK_ID", "LINK_ID"},
	16415:                         {"USE_WESP_MODE", "WESP_MODE"},
	16416:                         {"ROHC_SUPPORTED", "ROHC_SUP"},
	EAPOnlyAuthentication:         {"EAP_ONLY_AUTHENTICATION", "EAP_ONLY"},
	ChildlessIKEv2Supported:       {"CHILDLESS_IKEV2_SUPPORTED", "CHDLESS_SUP"},
	QuickCrashDetection:           {"QUICK_CRASH_DETECTION", "CRASH_DET"},
	16420:                         {"IKEV2_MESSAGE_ID_SYNC_SUPPORTED", "MID_SYNC_SUP"},
	16421:                         {"IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED", "RPL_CTR_SYN_SUP"},
	16422:                         {"IKEV2_MESSAGE_ID_SYNC", "MID_SYNC"},
	16423:                         {"IPSEC_REPLAY_COUNTER_SYNC", "RPL_CTR_SYN"},
	16424:                         {"SECURE_PASSWORD_METHOD", "SEC_PASSWD"},
	16427:                         {"ERX_SUPPORTED", "ERX_SUP"},
	FragmentationSupported:        {"FRAGMENTATION_SUPPORTED", "FRAG_SUP"},
	SignatureHashAlgorithms:       {"SIGNATURE_HASH_ALGORITHMS", "HASH_ALG"},
	UsePPK:                        {"USE_PPK", "USE_PPK"},
	PPKIdentity:                   {"PPK_IDENTITY", "PPK_ID"},
	NoPPKAuth:                     {"NO_PPK_AUTH", "NO_PPK"},
	IntermediateExchangeSupported: {"INTERMEDIATE_EXCHANGE_SUPPORTED", "INTERMED_SUP"},
	AdditionalKeyExchange:         {"ADDITIONAL_KEY_EXCHANGE", "ADD_KE"},
	16442:                         {"USE_AGGFRAG", "AGGFRAG"},
	16444:                         {"SA_RESOURCE_INFO", "RSRC_INFO"},
	40961:                         {"USE_BEET_MODE", "BEET_MODE"},
}

// IsError reports whether t reports an error.
func (t NotifyType) IsError() bool { return t < 16384 }

// String returns the registry's name: "NO_PROPOSAL_CHOSEN".
func (t NotifyType) String() string {
	if n, ok := notifyNames[t]; ok {
		return n[0]
	}
	return fmt.Sprintf("NOTIFY_%d", uint16(t))
}

// Short returns strongSwan's short name: "NO_PROP".
func (t NotifyType) Short() string {
	if n, ok := notifyNames[t]; ok {
		return n[1]
	}
	return fmt.Sprintf("(%d)", uint16(t))
}

// Notify is the Notify payload (RFC 7296 section 3.10).
type Notify struct {
	Protocol   ProtocolID // 0 unless there is an SPI
	SPI        []byte
	NotifyType NotifyType
	Data       []byte
}

// Type returns TypeNotify.
func (*Notify) Type() PayloadType { return TypeNotify }

func parseNotify(r *wire.Reader) *Notify {
	n := &Notify{Protocol: ProtocolID(r.U8())}
	size := int(r.U8())
	n.NotifyType = NotifyType(r.U16())
	n.SPI = clone(r.Bytes(size))
	n.Data = clone(r.Rest())
	return n
}

// AppendBody appends the notify.
func (n *Notify) AppendBody(b []byte) ([]byte, error) {
	if len(n.SPI) > math.MaxUint8 {
		return b, fmt.Errorf("SPI: %w", wire.ErrTooLong)
	}
	b = wire.AppendU16(append(b, byte(n.Protocol), byte(len(n.SPI))), uint16(n.NotifyType))
	return append(append(b, n.SPI...), n.Data...), nil
}

func (n *Notify) summary() string { return "N(" + n.NotifyType.Short() + ")" }

// WantedKE returns the method that an INVALID_KE_PAYLOAD notify asks for.
func (n *Notify) WantedKE() (KEMethod, error) {
	if n.NotifyType != InvalidKEPayload || len(n.Data) != 2 {
		return 0, fmt.Errorf("decode %s notify: %w", n.NotifyType, wire.ErrLength)
	}
	return KEMethod(uint16(n.Data[0])<<8 | uint16(n.Data[1])), nil
}

// NewInvalidKE returns the notify that asks for method m.
func NewInvalidKE(m KEMethod) *Notify {
	return &Notify{NotifyType: InvalidKEPayload, Data: wire.AppendU16(nil, uint16(m))}
}
