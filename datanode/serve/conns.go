package serve

import (
	"context"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/vstack/vstack/internal/admission"
)

const (
	// fewOfOne and fewOfAll are how many connections of an address, and of all, may have as
	// many requests in flight as a connection may; further ones have crowded. A request whose
	// header never ends has memory for as long as others on its connection are good, and a
	// browser or a client of ours has a connection or two.
	fewOfOne, fewOfAll = 8, 256
	crowded            = 16
)

// Streams is how many requests the connection that comes from an address may have in flight,
// of most.
func (q *QUICConns) Streams(remote net.Addr, most int64) int64 {
	if all, its := q.conns.Of(remote); all >= fewOfAll || its >= fewOfOne {
		return min(most, crowded)
	}
	return most
}

// maxHandshakes bounds QUIC handshakes under way, and those of one address to an eighth.
const maxHandshakes = 1024

// QUICConns bounds the QUIC connections of an endpoint. Handshakes count apart: a flood of
// them does not keep those out that have proved who they are.
type QUICConns struct {
	conns      *admission.Conns
	handshakes *admission.Conns
	proveAbove int
}

// NewQUICConns bounds the connections, and those of one address; above proveAbove handshakes
// under way a client has to prove its address first.
func NewQUICConns(max, each, proveAbove int) *QUICConns {
	return &QUICConns{admission.NewConns(max, each), admission.NewConns(maxHandshakes, maxHandshakes/8), proveAbove}
}

// Proves is quic.Transport's VerifySourceAddress.
func (q *QUICConns) Proves(net.Addr) bool { return q.handshakes.Open() >= q.proveAbove }

// handshakenKey finds in a connection's context what counts its handshake out.
type handshakenKey struct{}

// Begin is quic.Transport's ConnContext: it refuses a connection beyond the bounds before
// its handshake costs anything, and counts it out when it ends.
func (q *QUICConns) Begin(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	handshaken, err := q.handshakes.Enter(info.RemoteAddr)
	if err != nil {
		return nil, err
	}
	leave, err := q.conns.Enter(info.RemoteAddr)
	if err != nil {
		handshaken()
		return nil, err
	}
	context.AfterFunc(ctx, func() { handshaken(); leave() })
	return context.WithValue(ctx, handshakenKey{}, handshaken), nil
}

// Handshaken counts a connection's handshake out once it is complete. wg waits for that, or
// for the connection's end.
func (q *QUICConns) Handshaken(conn *quic.Conn, wg *sync.WaitGroup) {
	done, ok := conn.Context().Value(handshakenKey{}).(func())
	if !ok {
		return
	}
	wg.Go(func() {
		select {
		case <-conn.HandshakeComplete():
			done()
		case <-conn.Context().Done():
		}
	})
}
