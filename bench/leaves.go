package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/policy"
)

const (
	// hashesPerRound is how many chunks are hashed for one figure, and sharePlays how many
	// times a film is played for another.
	hashesPerRound = 32
	sharePlays     = 3
	shareSeconds   = 30 // of the film
)

// runLeaves measures what a chunk's leaves cost where they are made and kept, and what the
// policy that they are for costs a client.
func runLeaves(ctx context.Context, opt Options) (_ []report.Row, err error) {
	const name = "leaves"
	hashing, err := rig.Pairs(ctx, opt.Rounds,
		hashed(func(b []byte) { _ = vstack.LeavesOf(b).Root() }),
		hashed(func(b []byte) { _ = sha256.Sum256(b) }))
	if err != nil {
		return nil, err
	}
	rows := []report.Row{{Scenario: name, Name: "2 MiB hashed leaf by leaf, with the root", Unit: "ms", Pairs: hashing,
		Baseline: "one SHA-256 of the whole", Bound: report.AtMost(1.05)}}

	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	up, err := c.OpenUpload(ctx, name)
	if err != nil {
		return nil, err
	}
	plain := func(ctx context.Context) (float64, error) { return up.PutRound(ctx, c.Chunks, putsPerRound, 8) }
	for _, kind := range []struct {
		name   string
		before bool
		least  float64
	}{{"PUT with a table made beforehand, 8 in flight", true, 0.98}, {"PUT with a table made on the way, 8 in flight", false, 0.94}} {
		opt.Progress("  " + kind.name)
		ps, err := rig.Pairs(ctx, opt.Rounds, func(ctx context.Context) (float64, error) { return putTables(ctx, up, c.Chunks, kind.before) }, plain)
		if err != nil {
			return nil, err
		}
		rows = append(rows, report.Row{Scenario: name, Name: kind.name, Unit: "MB/s of chunks", Pairs: ps, Baseline: "PUT without one", Bound: report.AtLeast(kind.least)})
	}
	opt.Progress("  the policy's share of a client's processor time")
	share, err := policyShare(ctx, c)
	return append(rows, share), err
}

// hashed is a round of hashing, in ms a chunk.
func hashed(hash func([]byte)) rig.Measure {
	chunk := rig.RandomChunk(vstack.ChunkSize)
	return func(context.Context) (float64, error) {
		began := time.Now()
		for range hashesPerRound {
			hash(chunk)
		}
		return time.Since(began).Seconds() * 1e3 / hashesPerRound, nil
	}
}

// putTables is putRound with leaf tables.
func putTables(ctx context.Context, u *rig.Upload, client *quicclient.Client, before bool) (float64, error) {
	datas, slots, tables := make([][]byte, putsPerRound), make([]vstack.Slot, putsPerRound), make([]vstack.LeafTable, putsPerRound)
	for i := range datas {
		datas[i], slots[i] = rig.RandomChunk(vstack.ChunkSize), u.Slot()
		if before {
			tables[i] = vstack.LeavesOf(datas[i])
		}
	}
	wall, _, err := rig.InFlight(ctx, putsPerRound, 8, func(ctx context.Context, i int) error {
		table := tables[i]
		if table == nil {
			table = vstack.LeavesOf(datas[i])
		}
		return u.PutWith(ctx, client, slots[i], datas[i], table)
	})
	return rig.Throughput(putsPerRound*vstack.ChunkSize, wall), err
}

// timed is a policy that counts the time for which it was asked.
type timed struct {
	quicclient.Policy
	spent atomic.Int64
	asked atomic.Int64
}

// Decide implements quicclient.Policy.
func (t *timed) Decide(v policy.View) policy.Decision {
	began := time.Now()
	d := t.Policy.Decide(v)
	t.spent.Add(int64(time.Since(began)))
	t.asked.Add(1)
	return d
}

// policyShare plays a film as fast as it goes, by a client that has this process to itself: the
// hosts are others. What decisions take by the clock is no less than they take of a processor.
func policyShare(ctx context.Context, c *rig.Cluster) (report.Row, error) {
	file := filepath.Join(c.Lab.Dir, "share.mp4")
	if err := players.Clip(ctx, file, players.Picture{Seconds: shareSeconds, Rate: "8M"}); err != nil {
		return report.Row{}, err
	}
	id, err := players.Upload(ctx, c.Config.Exe, c.Lab.Lab.Client, file, "share")
	if err != nil {
		return report.Row{}, err
	}
	m, err := c.Meta.Manifest(ctx, id)
	if err != nil {
		return report.Row{}, err
	}
	viewer, err := identity.LoadRoots(filepath.Join(c.Lab.Lab.Client, "ca.crt"))
	if err != nil {
		return report.Row{}, err
	}
	row := report.Row{Scenario: "leaves", Name: "the smart policy's share of a client's processor time", Unit: "%", Bound: report.AtMost(3)}
	var asked int64
	for range sharePlays {
		p, err := quicclient.PolicyByName("smart")
		if err != nil {
			return row, err
		}
		t := &timed{Policy: p}
		client, err := quicclient.New(quicclient.Config{TLS: viewer.ClientTLS(), Placement: c.Meta.Placement, Policy: t})
		if err != nil {
			return row, err
		}
		before, err := players.ProcessorTime()
		if err != nil {
			return row, err
		}
		_, err = client.Play(ctx, m, quicclient.PlayOptions{})
		if err := errors.Join(err, client.Close()); err != nil {
			return row, err
		}
		after, err := players.ProcessorTime()
		if err != nil {
			return row, err
		}
		row.Pairs = append(row.Pairs, paired.Pair{Ours: 100 * float64(t.spent.Load()) / float64(after-before)})
		asked += t.asked.Load()
	}
	row.Note = fmt.Sprintf("%d decisions in %d playbacks", asked, sharePlays)
	return row, nil
}
