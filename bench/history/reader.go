package history

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// queryTimeout bounds one store's answer to a Query.
const queryTimeout = 500 * time.Millisecond

// reader learns what slots hold by asking their acceptors, without a proposal.
type reader struct {
	http      *http.Transport
	placement func(context.Context) (*vstack.PlacementMap, error)
}

func newReader(conf *tls.Config, placement func(context.Context) (*vstack.PlacementMap, error)) *reader {
	return &reader{
		http:      &http.Transport{TLSClientConfig: conf.Clone(), MaxIdleConnsPerHost: 8, TLSHandshakeTimeout: queryTimeout, DisableCompression: true},
		placement: placement,
	}
}

func (r *reader) close() { r.http.CloseIdleConnections() }

// read asks all acceptors. A majority with the same ballot and value: that value is
// chosen. A majority without a vote: at the moment of the earliest of these answers
// nothing was chosen yet, for an acceptor never loses a vote. Anything else tells
// nothing.
func (r *reader) read(ctx context.Context, slot vstack.Slot) (got vstack.ChunkID, known bool) {
	m, err := r.placement(ctx)
	if err != nil {
		return got, false
	}
	group, ok := m.Group(slot)
	if !ok {
		return got, false
	}
	acceptors := group.Acceptors()
	reports := make(map[vstack.StoreID]message.Vote, len(acceptors))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, id := range acceptors {
		store, ok := m.Store(id)
		if !ok {
			continue
		}
		wg.Go(func() {
			s, err := r.query(ctx, store, slot)
			if err != nil || s.Epoch != group.Epoch {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			reports[id] = message.Vote{Slot: slot, Epoch: s.Epoch, Ballot: s.Accepted, Value: s.Value}
		})
	}
	wg.Wait()
	if v, ok := message.ChosenOf(acceptors, reports); ok {
		return v.Chunk, true
	}
	empty := 0
	for _, v := range reports {
		if v.Ballot.IsZero() {
			empty++
		}
	}
	return got, empty >= message.Majority(len(acceptors))
}

func (r *reader) query(ctx context.Context, store vstack.Store, slot vstack.Slot) (message.SlotState, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var none message.SlotState
	q := message.Query{Slot: slot}
	req, err := wire.NewPaxosRequest(ctx, "https://"+store.Addr, q, 0, nil)
	if err != nil {
		return none, err
	}
	resp, err := r.http.RoundTrip(req)
	if err != nil {
		return none, fmt.Errorf("query %s at %s: %w", slot, store.Addr, err)
	}
	defer resp.Body.Close()
	reply, err := wire.ReadReply(resp, q)
	if err != nil {
		return none, fmt.Errorf("query %s at %s: %w", slot, store.Addr, err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 512) // lets the connection be used again
	s, ok := reply.(message.SlotState)
	if !ok || s.Store != store.ID {
		return none, fmt.Errorf("query %s at %s: %w: answered %T", slot, store.Addr, vstack.ErrUnavailable, reply)
	}
	return s, nil
}

// get reads a chunk from one store; nil without an error when the store has it not.
func (r *reader) get(ctx context.Context, addr string, id vstack.ChunkID) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+wire.PathChunks+id.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.http.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("read chunk %s from %s: %w", id.Short(), addr, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return io.ReadAll(io.LimitReader(resp.Body, vstack.MaxChunkSize+1))
	case http.StatusNotFound:
		return nil, nil
	}
	return nil, fmt.Errorf("read chunk %s from %s: %w", id.Short(), addr, wire.ReadError(resp))
}
