package bench

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	// smallValue and smallWidth are the load of small commits: 4 KiB, 64 in flight.
	smallValue, smallWidth = 4 << 10, 64
	// smallRound is how many of them a round makes.
	smallRound = 1500
)

// runConsensus tells what ChunkPaxos costs: beside the same stores without votes, and,
// for small values, beside the metastore's Raft and beside classic Paxos on the same code.
func runConsensus(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	up, err := c.OpenUpload(ctx, "consensus")
	if err != nil {
		return nil, err
	}
	rows, err := votingRows(ctx, opt, c, up)
	if err != nil {
		return nil, err
	}
	small, err := smallRows(ctx, opt, c, up)
	return append(rows, small...), err
}

// votingRows compares PUTs of 2 MiB with those of stores that do not vote.
func votingRows(ctx context.Context, opt Options, c *rig.Cluster, up *rig.Upload) (_ []report.Row, err error) {
	base, err := c.Site().StartUnvoted(c.Meta.Placement)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	const beside = "the same PUTs without votes"
	opt.Progress("  2 MiB beside no votes, 8 in flight")
	wide, err := rig.Pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.PutRound(ctx, c.Chunks, putsPerRound, 8) },
		func(ctx context.Context) (float64, error) { return unvotedRound(ctx, up, base, putsPerRound, 8) })
	if err != nil {
		return nil, err
	}
	opt.Progress("  2 MiB beside no votes, 1 in flight")
	single, err := rig.Pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.PutMedian(ctx, c.Chunks, singlesPerRound) },
		func(ctx context.Context) (float64, error) { return unvotedMedian(ctx, up, base, singlesPerRound) })
	if err != nil {
		return nil, err
	}
	// A cost of five per cent is a ratio of 1/1.05 of the throughput.
	return []report.Row{
		{Scenario: "consensus", Name: "2 MiB, 8 in flight", Unit: "MB/s of chunks", Baseline: beside, Pairs: wide, Bound: report.AtLeast(0.952)},
		{Scenario: "consensus", Name: "2 MiB, 1 in flight, p50", Unit: "ms", Baseline: beside, Pairs: single, Bound: report.AtMost(1.05)},
	}, nil
}

// smallRows compares commits of 4 KiB with the same through Raft, and by two phases.
func smallRows(ctx context.Context, opt Options, c *rig.Cluster, up *rig.Upload) (_ []report.Row, err error) {
	group, err := c.Site().StartRaft(ctx, smallWidth)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, group.Close()) }()
	fast, err := c.NewWideClient(smallWidth, vstack.ProposerID{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fast.Close()) }()
	classic, err := c.NewWideClient(smallWidth, vstack.ProposerID(uuid.New()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, classic.Close()) }()
	ours := func(ctx context.Context) (float64, error) { return smallCommits(ctx, up, fast) }
	opt.Progress("  4 KiB, 64 in flight, beside Raft")
	beside, err := rig.Pairs(ctx, opt.Rounds, ours, func(ctx context.Context) (float64, error) {
		wall, _, err := rig.InFlight(ctx, smallRound, smallWidth, func(ctx context.Context, _ int) error {
			return group.Put(ctx, rig.RandomChunk(smallValue))
		})
		return smallRound / wall.Seconds(), err
	})
	if err != nil {
		return nil, err
	}
	opt.Progress("  4 KiB, 64 in flight, beside two phases")
	phases, err := rig.Pairs(ctx, opt.Rounds, ours, func(ctx context.Context) (float64, error) { return smallCommits(ctx, up, classic) })
	if err != nil {
		return nil, err
	}
	rows := []report.Row{
		{Scenario: "consensus", Name: "4 KiB, 64 in flight", Unit: "commits/s", Baseline: "the metastore's Raft", Pairs: beside},
		{Scenario: "consensus", Name: "4 KiB, 64 in flight, fast", Unit: "commits/s", Baseline: "classic Paxos, same code", Pairs: phases},
	}
	counted, err := messageRows(ctx, c, up, fast, classic)
	return append(rows, counted...), err
}

// smallCommits commits smallRound fresh values and returns commits a second.
func smallCommits(ctx context.Context, u *rig.Upload, client *quicclient.Client) (float64, error) {
	slots := make([]vstack.Slot, smallRound)
	for i := range slots {
		slots[i] = u.Slot()
	}
	wall, _, err := rig.InFlight(ctx, smallRound, smallWidth, func(ctx context.Context, i int) error {
		return u.Put(ctx, client, slots[i], rig.RandomChunk(smallValue))
	})
	return smallRound / wall.Seconds(), err
}

// messageRows counts the messages of uncontended chunks by the stores' counters.
func messageRows(ctx context.Context, c *rig.Cluster, up *rig.Upload, fast, classic *quicclient.Client) ([]report.Row, error) {
	var rows []report.Row
	for _, side := range []struct {
		name   string
		client *quicclient.Client
		want   float64
	}{{"fast", fast, 6}, {"classic", classic, 12}} {
		before, err := received(ctx, c)
		if err != nil {
			return nil, err
		}
		for range messageChunks {
			if err := up.Put(ctx, side.client, up.Slot(), rig.RandomChunk(smallValue)); err != nil {
				return nil, err
			}
		}
		after, err := received(ctx, c)
		if err != nil {
			return nil, err
		}
		rows = append(rows, report.Figure("consensus", "messages a chunk, "+side.name, "messages", 2*(after-before)/messageChunks, report.Exactly(side.want)))
	}
	rows[0].Note = "classic Paxos whose proposer is an acceptor itself takes 9: 6 are 33 % fewer"
	return rows, nil
}

// unvotedRound is putRound without votes: the slots only choose the stores.
func unvotedRound(ctx context.Context, u *rig.Upload, base *baseline.Unvoted, n, width int) (float64, error) {
	datas, slots := make([][]byte, n), make([]vstack.Slot, n)
	for i := range datas {
		datas[i], slots[i] = rig.RandomChunk(vstack.ChunkSize), u.Slot()
	}
	wall, _, err := rig.InFlight(ctx, n, width, func(ctx context.Context, i int) error { return base.Put(ctx, slots[i], datas[i]) })
	return rig.Throughput(int64(n)*vstack.ChunkSize, wall), err
}

// unvotedMedian is putMedian without votes.
func unvotedMedian(ctx context.Context, u *rig.Upload, base *baseline.Unvoted, n int) (float64, error) {
	each := make([]float64, n)
	for i := range each {
		data := rig.RandomChunk(vstack.ChunkSize)
		start := time.Now()
		if err := base.Put(ctx, u.Slot(), data); err != nil {
			return 0, err
		}
		each[i] = time.Since(start).Seconds() * 1e3
	}
	return paired.Quantile(each, 0.5), nil
}
