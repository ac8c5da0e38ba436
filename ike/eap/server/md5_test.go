package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/md5"
)

func TestMD5(t *testing.T) {
	c, data, err := NewMD5(9)
	require.NoError(t, err)
	m := md5.New([]byte("pw"))
	defer m.Close()
	r, err := m.Handle(eap.Packet{ID: 9, Data: data})
	require.NoError(t, err)
	require.True(t, c.Verify(r.Data, []byte("pw")))
	require.False(t, c.Verify(r.Data, []byte("no")))
	require.False(t, c.Verify(r.Data[:5], []byte("pw")))
	require.False(t, c.Verify(nil, []byte("pw")))
}
