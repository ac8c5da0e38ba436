package pttls_test

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/pttls"
	"github.com/gotnc/gotnc/tnccs/pttls/pttlstest"
)

// retrier is an IMC that keeps the functions of its host.
type retrier struct {
	id   uint32
	host tnccs.TNCC
}

func (r *retrier) Initialize(id uint32, host tnccs.TNCC) error {
	r.id, r.host = id, host
	return nil
}
func (*retrier) NotifyConnectionChange(uint32, tnccs.ConnectionState) error { return nil }
func (*retrier) BeginHandshake(uint32) error                                { return nil }
func (*retrier) ReceiveMessage(uint32, tnccs.Message) error                 { return nil }
func (*retrier) BatchEnding(uint32) error                                   { return nil }
func (*retrier) Terminate() error                                           { return nil }

// told is a session that tells each decision.
type told struct {
	*tnccs.Session
	decided chan tnccs.Recommendation
}

func (s *told) Receive(b []byte) ([]byte, error) {
	reply, err := s.Session.Receive(b)
	if s.Resting() {
		s.decided <- s.Outcome().Recommendation
	}
	return reply, err
}

// allowing is a server's session that always lets the client in.
type allowing struct {
	t        *testing.T
	received chan pb.BatchType
}

func (a allowing) Receive(b []byte) ([]byte, error) {
	h, err := pb.ParseHeader(b, pb.Server)
	if err != nil {
		return nil, err
	}
	a.received <- h.Type
	if h.Type == pb.CLOSE {
		return nil, nil
	}
	return serverBatch(a.t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed}), nil
}

func serverBatch(t *testing.T, typ pb.BatchType, ms ...pb.Message) []byte {
	b, err := pb.Batch{FromServer: true, Type: typ, Messages: ms}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// A connection is kept for later assessments (RFC 6876 section 3.1). The IMC asks for
// one (CRETRY), then the server (SRETRY), and each assessment has a decision.
func TestLastingSession(t *testing.T) {
	for _, leaves := range []string{"client", "server"} {
		t.Run(leaves+" leaves", func(t *testing.T) {
			received, push := make(chan pb.BatchType, 100), make(chan []byte)
			s := serve(t, pttlstest.Config{Push: push, Session: func() pttlstest.Session { return allowing{t, received} }})
			client, err := tnccs.NewClient(tnccs.Config{})
			require.NoError(t, err)
			defer client.Close()
			r := &retrier{}
			require.NoError(t, client.Add("retrier", r))
			cfg := config()
			cfg.IdleTimeout = 5 * time.Second
			conn, err := pttls.Dial(context.Background(), s.Addr(), cfg)
			require.NoError(t, err)
			session := &told{client.NewSession(), make(chan tnccs.Recommendation, 10)}
			session.KeepOpen()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- conn.Run(ctx, session) }()
			require.Equal(t, pb.CDATA, <-received)
			require.Equal(t, tnccs.RecommendAllow, <-session.decided)
			for range 3 {
				require.Equal(t, tnccs.ResultSuccess, r.host.RequestHandshakeRetry(r.id, session.ID(), 0))
				require.Equal(t, pb.CRETRY, <-received)
				require.Equal(t, tnccs.RecommendAllow, <-session.decided)

				push <- serverBatch(t, pb.SRETRY)
				push <- serverBatch(t, pb.SDATA)
				require.Equal(t, pb.CDATA, <-received)
				require.Equal(t, tnccs.RecommendAllow, <-session.decided)
			}
			if leaves == "client" {
				cancel()
				require.NoError(t, <-ended)
				require.Equal(t, pb.CLOSE, <-received, "the server gets CLOSE")
			} else {
				push <- serverBatch(t, pb.CLOSE)
				require.NoError(t, <-ended)
			}
			o := session.Outcome()
			require.Equal(t, pb.End, o.State)
			require.Equal(t, tnccs.RecommendAllow, o.Recommendation, "the last decision counts")
		})
	}
}

// The end of the connection ends a session that rests, not one that is busy.
func TestServerHangsUp(t *testing.T) {
	for name, resting := range map[string]bool{"at rest": true, "busy": false} {
		t.Run(name, func(t *testing.T) {
			ready := make(chan struct{})
			s := serve(t, pttlstest.Config{Script: func(c *tls.Conn) {
				readMessage(t, c) // Version Request
				sendMessage(t, c, pttls.TypeVersionResponse, []byte{0, 0, 0, 1})
				sendMessage(t, c, pttls.TypeSASLMechanisms, nil)
				readMessage(t, c)
				typ := pb.SDATA
				if resting {
					typ = pb.RESULT
				}
				sendMessage(t, c, pttls.TypeBatch, serverBatch(t, typ))
				if resting {
					<-ready
				}
			}})
			client, err := tnccs.NewClient(tnccs.Config{})
			require.NoError(t, err)
			defer client.Close()
			conn, err := pttls.Dial(context.Background(), s.Addr(), config())
			require.NoError(t, err)
			session := &told{client.NewSession(), make(chan tnccs.Recommendation, 10)}
			session.KeepOpen()
			go func() { <-session.decided; close(ready) }()
			err = conn.Run(context.Background(), session)
			if resting {
				require.NoError(t, err)
				require.Equal(t, pb.End, session.Outcome().State)
			} else {
				session.decided <- 0
				require.ErrorContains(t, err, "closed the connection before the assessment was over")
			}
		})
	}
}

func readMessage(t *testing.T, c *tls.Conn) {
	if _, err := pttls.ReadMessage(c, pttls.MaxMessageSize); err != nil {
		t.Error(err)
	}
}

func sendMessage(t *testing.T, c *tls.Conn, typ pttls.Type, value []byte) {
	b, err := pttls.Message{Type: typ, Value: value}.AppendBinary(nil)
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		t.Error(err)
	}
}
