package message

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
)

func TestKE(t *testing.T) {
	vector(t, TypeKE, "001f 0000 0102", &KE{Method: KECurve25519, Data: []byte{1, 2}})
	refused(t, TypeKE, "001f00")
}

func TestNonce(t *testing.T) {
	n := bytes.Repeat([]byte{0xaa}, 16)
	vector(t, TypeNonce, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &Nonce{Data: n})
	refused(t, TypeNonce, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	_, err := ParsePayloads(TypeNonce, payload(make([]byte, 257)))
	require.ErrorIs(t, err, wire.ErrLength)
	_, err = (&Nonce{Data: make([]byte, 257)}).AppendBody(nil)
	require.Error(t, err)
}

func TestCert(t *testing.T) {
	vector(t, TypeCert, "04 3000", &Cert{Encoding: CertX509Signature, Data: []byte{0x30, 0}})
	refused(t, TypeCert, "")
}

func TestCertRequest(t *testing.T) {
	hash := bytes.Repeat([]byte{0x11}, 20)
	p := &CertRequest{Encoding: CertX509Signature, Data: append(bytes.Clone(hash), hash...)}
	vector(t, TypeCertRequest, "04"+string(bytes.Repeat([]byte("11"), 40)), p)
	hs, err := p.Authorities()
	require.NoError(t, err)
	require.Equal(t, [][]byte{hash, hash}, hs)
	p.Data = p.Data[1:]
	_, err = p.Authorities()
	require.ErrorIs(t, err, wire.ErrLength)
}

func TestAuth(t *testing.T) {
	vector(t, TypeAuth, "02 000000 0102", &Auth{Method: AuthSharedKey, Data: []byte{1, 2}})
	ps, err := ParsePayloads(TypeAuth, payload(unhex(t, "02ffffff01")))
	require.NoError(t, err, "reserved octets are ignored")
	require.Equal(t, []Payload{&Auth{Method: AuthSharedKey, Data: []byte{1}}}, ps)
	require.Equal(t, "digital signature", AuthDigitalSignature.String())
	require.Equal(t, "AUTH_METHOD_77", AuthMethod(77).String())
}

func TestNotify(t *testing.T) {
	vector(t, TypeNotify, "00 00 402e", &Notify{NotifyType: FragmentationSupported})
	vector(t, TypeNotify, "03 04 4009 c0000001 aabb", &Notify{Protocol: ProtocolESP, SPI: []byte{0xc0, 0, 0, 1}, NotifyType: RekeySA, Data: []byte{0xaa, 0xbb}})
	refused(t, TypeNotify, "030440 09c00000")
	_, err := (&Notify{SPI: make([]byte, 256)}).AppendBody(nil)
	require.ErrorIs(t, err, wire.ErrTooLong)

	m, err := NewInvalidKE(KEMODP2048).WantedKE()
	require.NoError(t, err)
	require.Equal(t, KEMODP2048, m)
	_, err = (&Notify{NotifyType: InvalidKEPayload, Data: []byte{1}}).WantedKE()
	require.Error(t, err)
	require.True(t, NoProposalChosen.IsError())
	require.False(t, InitialContact.IsError())
	require.Equal(t, "NO_PROPOSAL_CHOSEN", NoProposalChosen.String())
	require.Equal(t, "NO_PROP", NoProposalChosen.Short())
	require.Equal(t, "NOTIFY_1234", NotifyType(1234).String())
	msg := Message{Payloads: []Payload{&Notify{NotifyType: Cookie}, &Notify{NotifyType: AuthenticationFailed}}}
	require.Equal(t, AuthenticationFailed, msg.ErrorNotify().NotifyType)
}

func TestDelete(t *testing.T) {
	vector(t, TypeDelete, "01 00 0000", &Delete{Protocol: ProtocolIKE})
	vector(t, TypeDelete, "03 04 0002 c0000001 c0000002", &Delete{Protocol: ProtocolESP, SPIs: [][]byte{{0xc0, 0, 0, 1}, {0xc0, 0, 0, 2}}})
	refused(t, TypeDelete, "03 00 0002")
	refused(t, TypeDelete, "03 04 0001 c0000001 00")
	refused(t, TypeDelete, "03 04 ffff c0000001")
	for _, d := range []*Delete{{SPIs: [][]byte{{}}}, {SPIs: [][]byte{{1}, {1, 2}}}, {SPIs: [][]byte{make([]byte, 256)}}} {
		_, err := d.AppendBody(nil)
		require.Error(t, err)
	}
}

func TestVendorID(t *testing.T) {
	vector(t, TypeVendorID, "882fe56d6fd20dbc2251613b2ebe5beb", &VendorID{Data: unhex(t, "882fe56d6fd20dbc2251613b2ebe5beb")})
}

func TestCP(t *testing.T) {
	p := &CP{CPType: CPReply, Attributes: []CPAttribute{
		{Type: InternalIP4Address, Value: []byte{10, 3, 0, 1}}, {Type: InternalIP4DNS, Value: []byte{10, 1, 0, 1}}, {Type: InternalIP4DNS},
	}}
	vector(t, TypeCP, "02 000000 0001 0004 0a030001 0003 0004 0a010001 0003 0000", p)
	require.Equal(t, [][]byte{{10, 1, 0, 1}, nil}, p.All(InternalIP4DNS))
	require.Equal(t, "CPRP(ADDR DNS DNS)", p.summary())
	require.Equal(t, "CP?((9999))", (&CP{Attributes: []CPAttribute{{Type: 9999}}}).summary())
	refused(t, TypeCP, "02000000 0001 0005 0a030001")
	_, err := ParsePayloads(TypeCP, payload(append(make([]byte, 4), make([]byte, 4*(MaxCPAttributes+1))...)))
	require.ErrorIs(t, err, ErrTooMany)
	_, err = (&CP{Attributes: []CPAttribute{{Value: make([]byte, 65536)}}}).AppendBody(nil)
	require.ErrorIs(t, err, wire.ErrTooLong)
}

func TestEAP(t *testing.T) {
	vector(t, TypeEAP, "01 07 0006 15 20", &EAP{Packet: []byte{1, 7, 0, 6, 0x15, 0x20}})
	for body, want := range map[string]string{
		"0107000615 20": "EAP/REQ/TTLS", "0207000501": "EAP/RES/ID", "03070004": "EAP/SUCC", "04070004": "EAP/FAIL",
		"0107000526": "EAP/REQ/TNC", "01070005c8": "EAP/REQ/(200)", "09070004": "EAP/(9)", "01070004": "EAP/REQ",
	} {
		ps, err := ParsePayloads(TypeEAP, payload(unhex(t, body)))
		require.NoError(t, err)
		require.Equal(t, want, ps[0].(*EAP).summary())
	}
	refused(t, TypeEAP, "0107000615")
	refused(t, TypeEAP, "0107000515 20")
	require.Equal(t, "EAP", (&EAP{}).summary())
}
