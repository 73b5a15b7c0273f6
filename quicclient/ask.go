package quicclient

import (
	"context"
	"fmt"
	"io"

	"go.opentelemetry.io/otel/attribute"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/stores"
)

// Ask sends one message of ChunkPaxos without bytes to a store, for whoever drives a
// machine of its own: a datanode that changes an epoch. An error means that nobody knows
// whether the message took effect; a refusal is an answer.
func (c *Client) Ask(ctx context.Context, to vstack.Store, msg message.Message) (message.Reply, error) {
	return c.ask(ctx, c.pool.Peer(to), msg, nil, nil)
}

// ask sends one message of ChunkPaxos and reads its answer. chunk is nil for a message
// without bytes; leaves are its table, nil where the store is to make its own. An error means that nobody knows whether the message took effect.
func (c *Client) ask(ctx context.Context, p *stores.Peer, msg message.Message, chunk []byte, leaves vstack.LeafTable) (reply message.Reply, err error) {
	ctx, span := tracing.Start(ctx, kindOf(msg, chunk)+" to a store", attribute.Stringer("store", p.ID), attribute.String("server.address", p.Addr))
	defer func() { tracing.End(span, err) }()
	req, err := wire.NewPaxosRequest(ctx, "https://"+p.Addr, msg, p.Echo(), chunk)
	if err != nil {
		return nil, err
	}
	// Every message may arrive twice, so the pool may repeat one that met a connection
	// which the store had closed. The empty value keeps the header off the wire.
	req.Header["Idempotency-Key"] = []string{}
	tracing.Inject(ctx, req.Header)
	if chunk != nil && leaves != nil {
		req.Header.Set(wire.HeaderLeaves, leaves.String())
	}
	kind := kindOf(msg, chunk)
	m := c.metrics
	m.messages.WithLabelValues(kind, sent).Inc()
	m.bytes.WithLabelValues(kind, sent).Add(float64(max(req.ContentLength, 0)))
	how := stores.TCP
	if c.cfg.WriteTransport == WriteQUIC {
		how = stores.Auto
	}
	resp, proto, err := p.RoundTrip(req, how)
	if err != nil {
		return nil, fmt.Errorf("%s to %s over %s: %w: %w", kind, p.Addr, proto, vstack.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	reply, err = wire.ReadReply(resp, msg)
	if err != nil {
		return nil, fmt.Errorf("%s to %s over %s: %w", kind, p.Addr, proto, err)
	}
	m.messages.WithLabelValues(kind, received).Inc()
	// What ReadReply left, at most a line break, stands between this connection and
	// its next request.
	_, _ = io.CopyN(io.Discard, resp.Body, 512)
	store, lsn := answerOf(reply)
	if store != p.ID {
		return nil, fmt.Errorf("%s to %s: %w: store %s answered, want %s", kind, p.Addr, vstack.ErrUnavailable, store, p.ID)
	}
	p.Heard(lsn)
	return reply, nil
}

func kindOf(msg message.Message, chunk []byte) string {
	switch msg.(type) {
	case message.Prepare:
		return kindPrepare
	case message.PrepareUpload:
		return kindSurvey
	case message.Seal:
		return kindSeal
	case message.Install:
		return kindInstall
	case message.Query:
		return kindQuery
	}
	if chunk != nil {
		return kindPut
	}
	return kindAccept
}

// answerOf is who answered, and up to which record its answer is durable; a refusal
// makes nothing durable.
func answerOf(reply message.Reply) (vstack.StoreID, vstack.LSN) {
	switch r := reply.(type) {
	case message.Accepted:
		return r.Store, r.LSN
	case message.Promise:
		return r.Store, r.LSN
	case message.UploadPromise:
		return r.Store, r.LSN
	case message.Sealed:
		return r.Store, r.LSN
	case message.Installed:
		return r.Store, r.LSN
	case message.SlotState:
		return r.Store, r.LSN
	case message.Nack:
		return r.Store, 0
	}
	return vstack.StoreID{}, 0
}
