package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/stores"
)

const (
	// smallValue and smallWidth are the load of small commits: 4 KiB, 64 in flight.
	smallValue, smallWidth = 4 << 10, 64
	// smallRound is how many of them a round makes.
	smallRound = 1500
)

// runConsensus tells what ChunkPaxos costs: beside the same stores without votes, and,
// for small values, beside the metastore's Raft and beside classic Paxos on the same code.
func runConsensus(ctx context.Context, opt Options) (_ []Row, err error) {
	c, err := openCluster(ctx, opt, quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	up, err := c.openUpload(ctx, "consensus")
	if err != nil {
		return nil, err
	}
	rows, err := c.votingRows(ctx, up)
	if err != nil {
		return nil, err
	}
	small, err := c.smallRows(ctx, up)
	return append(rows, small...), err
}

// votingRows compares PUTs of 2 MiB with those of stores that do not vote.
func (c *cluster) votingRows(ctx context.Context, up *upload) (_ []Row, err error) {
	parts, err := c.startUnvoted()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeParts(parts)) }()
	base := c.newUnvotedClient()
	defer func() { err = errors.Join(err, base.pool.Close()) }()
	const baseline = "the same PUTs without votes"
	c.opt.Progress("  2 MiB beside no votes, 8 in flight")
	wide, err := pairs(ctx, c.opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.putRound(ctx, c.chunks, putsPerRound, 8) },
		func(ctx context.Context) (float64, error) { return base.putRound(ctx, up, putsPerRound, 8) })
	if err != nil {
		return nil, err
	}
	c.opt.Progress("  2 MiB beside no votes, 1 in flight")
	single, err := pairs(ctx, c.opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.putMedian(ctx, c.chunks, singlesPerRound) },
		func(ctx context.Context) (float64, error) { return base.putMedian(ctx, up, singlesPerRound) })
	if err != nil {
		return nil, err
	}
	// A cost of five per cent is a ratio of 1/1.05 of the throughput.
	return []Row{
		{Scenario: "consensus", Name: "2 MiB, 8 in flight", Unit: "MB/s of chunks", Baseline: baseline, Pairs: wide, Bound: &Bound{">=", 0.952}},
		{Scenario: "consensus", Name: "2 MiB, 1 in flight, p50", Unit: "ms", Baseline: baseline, Pairs: single, Bound: &Bound{"<=", 1.05}},
	}, nil
}

// smallRows compares commits of 4 KiB with the same through Raft, and by two phases.
func (c *cluster) smallRows(ctx context.Context, up *upload) (_ []Row, err error) {
	group, err := c.startRaft(ctx, smallWidth)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, group.Close()) }()
	fast, err := c.smallClient(vstack.ProposerID{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fast.Close()) }()
	classic, err := c.smallClient(vstack.ProposerID(uuid.New()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, classic.Close()) }()
	ours := func(ctx context.Context) (float64, error) { return up.smallRound(ctx, fast) }
	c.opt.Progress("  4 KiB, 64 in flight, beside Raft")
	beside, err := pairs(ctx, c.opt.Rounds, ours, func(ctx context.Context) (float64, error) {
		wall, _, err := inFlight(ctx, smallRound, smallWidth, func(ctx context.Context, _ int) error {
			return group.put(ctx, randomChunk(smallValue))
		})
		return smallRound / wall.Seconds(), err
	})
	if err != nil {
		return nil, err
	}
	c.opt.Progress("  4 KiB, 64 in flight, beside two phases")
	phases, err := pairs(ctx, c.opt.Rounds, ours, func(ctx context.Context) (float64, error) { return up.smallRound(ctx, classic) })
	if err != nil {
		return nil, err
	}
	rows := []Row{
		{Scenario: "consensus", Name: "4 KiB, 64 in flight", Unit: "commits/s", Baseline: "the metastore's Raft", Pairs: beside},
		{Scenario: "consensus", Name: "4 KiB, 64 in flight, fast", Unit: "commits/s", Baseline: "classic Paxos, same code", Pairs: phases},
	}
	counted, err := c.messageRows(ctx, up, fast, classic)
	return append(rows, counted...), err
}

// smallClient makes a client for many small commits: as many connections as may be in
// flight, and nobody is left behind uncounted.
func (c *cluster) smallClient(p vstack.ProposerID) (*quicclient.Client, error) {
	return quicclient.New(quicclient.Config{
		TLS: c.id.ClientTLS(), Placement: c.meta.Placement, Proposer: p, WriteConns: smallWidth, AwaitLast: 10 * time.Second,
	})
}

// smallRound commits smallRound fresh values and returns commits a second.
func (u *upload) smallRound(ctx context.Context, client *quicclient.Client) (float64, error) {
	slots := make([]vstack.Slot, smallRound)
	for i := range slots {
		slots[i] = u.slot()
	}
	wall, _, err := inFlight(ctx, smallRound, smallWidth, func(ctx context.Context, i int) error {
		return u.put(ctx, client, slots[i], randomChunk(smallValue))
	})
	return smallRound / wall.Seconds(), err
}

// messageRows counts the messages of uncontended chunks by the stores' counters.
func (c *cluster) messageRows(ctx context.Context, up *upload, fast, classic *quicclient.Client) ([]Row, error) {
	var rows []Row
	for _, side := range []struct {
		name   string
		client *quicclient.Client
		want   float64
	}{{"fast", fast, 6}, {"classic", classic, 12}} {
		before, err := c.received(ctx)
		if err != nil {
			return nil, err
		}
		for range messageChunks {
			if err := up.put(ctx, side.client, up.slot(), randomChunk(smallValue)); err != nil {
				return nil, err
			}
		}
		after, err := c.received(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, figure("consensus", "messages a chunk, "+side.name, "messages", 2*(after-before)/messageChunks, &Bound{"==", side.want}))
	}
	rows[0].Note = "classic Paxos whose proposer is an acceptor itself takes 9: 6 are 33 % fewer"
	return rows, nil
}

// unvotedClient writes chunks to the unvoted twins of a slot's acceptors.
type unvotedClient struct {
	pool *stores.Pool
}

func (c *cluster) newUnvotedClient() *unvotedClient {
	return &unvotedClient{pool: stores.NewPool(stores.Config{
		TLS: c.id.ClientTLS(), PlacementMaxAge: 10 * time.Second, TCPConns: 16, NoQUIC: true,
		HandshakeTimeout: 3 * time.Second, IdleTimeout: 5 * time.Second, FallbackAfter: 400 * time.Millisecond,
		Placement: func(ctx context.Context) (*vstack.PlacementMap, error) {
			m, err := c.meta.Placement(ctx)
			if err != nil {
				return nil, err
			}
			moved := *m
			moved.Stores = append([]vstack.Store(nil), m.Stores...)
			for i := range moved.Stores {
				if moved.Stores[i].Addr, err = twin(moved.Stores[i].Addr); err != nil {
					return nil, err
				}
			}
			return &moved, nil
		},
	})}
}

// put writes the chunk to all three and waits for them, as upload.put does.
func (c *unvotedClient) put(ctx context.Context, slot vstack.Slot, data []byte) error {
	m, err := c.pool.Placement(ctx)
	if err != nil {
		return err
	}
	group, ok := m.Group(slot)
	if !ok {
		return vstack.ErrNotReady
	}
	id := vstack.ChunkIDOf(data)
	var g errgroup.Group
	for _, t := range c.pool.Targets(m, group.Acceptors()) {
		g.Go(func() error { return c.send(ctx, t.Peer, id, data) })
	}
	return g.Wait()
}

func (c *unvotedClient) send(ctx context.Context, p *stores.Peer, id vstack.ChunkID, data []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://"+p.Addr+wire.PathChunks+id.String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	resp, _, err := p.RoundTrip(req, stores.TCP)
	if err != nil {
		return fmt.Errorf("PUT to %s: %w", p.Addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT to %s: %w", p.Addr, wire.ReadError(resp))
	}
	if _, err := strconv.ParseUint(resp.Header.Get(wire.HeaderLSN), 10, 64); err != nil {
		return fmt.Errorf("PUT to %s: %w: no LSN", p.Addr, vstack.ErrInternal)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// putRound is upload.putRound without votes: the slots only choose the stores.
func (c *unvotedClient) putRound(ctx context.Context, u *upload, n, width int) (float64, error) {
	datas, slots := make([][]byte, n), make([]vstack.Slot, n)
	for i := range datas {
		datas[i], slots[i] = randomChunk(vstack.ChunkSize), u.slot()
	}
	wall, _, err := inFlight(ctx, n, width, func(ctx context.Context, i int) error { return c.put(ctx, slots[i], datas[i]) })
	return throughput(int64(n)*vstack.ChunkSize, wall), err
}

func (c *unvotedClient) putMedian(ctx context.Context, u *upload, n int) (float64, error) {
	each := make([]float64, n)
	for i := range each {
		data := randomChunk(vstack.ChunkSize)
		start := time.Now()
		if err := c.put(ctx, u.slot(), data); err != nil {
			return 0, err
		}
		each[i] = time.Since(start).Seconds() * 1e3
	}
	return quantile(each, 0.5), nil
}
