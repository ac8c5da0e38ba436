package pb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 5793 section 3.2, every state and batch.
func TestTransitions(t *testing.T) {
	type key struct {
		s State
		t BatchType
	}
	want := map[key]State{
		{Init, CDATA}: ServerWorking, {Init, SDATA}: ClientWorking,
		{ServerWorking, SDATA}: ClientWorking, {ServerWorking, RESULT}: Decided,
		{ClientWorking, CDATA}: ServerWorking,
		{Decided, CRETRY}:      ServerWorking, {Decided, SRETRY}: ServerWorking,
	}
	ignored := map[key]bool{{ServerWorking, SRETRY}: true, {ServerWorking, CRETRY}: true, {ClientWorking, CRETRY}: true}
	for s := Init; s <= End; s++ {
		for typ := BatchType(0); typ < 16; typ++ {
			for _, sender := range []Role{Client, Server} {
				next, v := s.Next(sender, typ)
				owner, known := typ.Sender()
				to, accepted := want[key{s, typ}]
				switch {
				case typ == CLOSE:
					require.Equal(t, End, next)
					require.Equal(t, Accept, v)
				case known && owner == sender && accepted:
					require.Equal(t, to, next, "%s %s", s, typ)
					require.Equal(t, Accept, v)
				case known && owner == sender && ignored[key{s, typ}]:
					require.Equal(t, s, next)
					require.Equal(t, Ignore, v)
				default:
					require.Equal(t, s, next, "%s %s", s, typ)
					require.Equal(t, Illegal, v, "%s %s %s", s, typ, sender)
				}
			}
		}
	}
	require.Equal(t, "Server Working", ServerWorking.String())
}
