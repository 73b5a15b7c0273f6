package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/readers"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const linkRate = 100e6 // bit/s, of the link that the film is uploaded over, too

// runIngest uploads a film of 200 MB as a person does, and commits the same bytes as chunks.
// Processor time is of everything that works: hosts, their FFmpeg, and the client.
func runIngest(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var rows []report.Row
	var after [2][]float64
	for k, index := range []string{"front", "end"} {
		var size int64
		var wall, cpu []paired.Pair
		for i := range opt.Rounds + 1 { // the first warms up
			opt.Progress(fmt.Sprintf("  index at the %s, round %d of %d", index, i, opt.Rounds))
			var film string
			if film, size, err = players.Large(ctx, c.Lab.Dir, index, i); err != nil {
				return nil, err
			}
			w, p, err := besideChunks(ctx, c, film, size, i%2 == 1)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				continue
			}
			wall, cpu = append(wall, w), append(cpu, p)
			opt.Progress("  the same over a link")
			if film, size, err = players.Large(ctx, c.Lab.Dir, index, opt.Rounds+i); err != nil {
				return nil, err
			}
			late, err := afterLast(ctx, c, film, size)
			if err != nil {
				return nil, err
			}
			after[k] = append(after[k], late)
		}
		row := func(measure string, ps []paired.Pair, most float64) {
			r := report.Row{Scenario: "ingest", Name: fmt.Sprintf("%d MB of H.264, index at the %s, %s", size/1e6, index, measure), Unit: "s",
				Baseline: "the same bytes as chunks of 2 MiB, 8 in flight", Pairs: ps}
			if index == "front" {
				r.Bound = report.AtMost(most)
			}
			rows = append(rows, r)
		}
		row("wall", wall, 1.5)
		row("processor", cpu, 1.3)
	}
	var late []paired.Pair
	for i := range after[0] {
		late = append(late, paired.Pair{Ours: after[0][i], Base: after[1][i]})
	}
	return append(rows, report.Row{Scenario: "ingest", Name: "published after the last byte over 100 Mbit/s, index at the front", Unit: "s",
		Baseline: "index at the end", Pairs: late}), nil
}

// besideChunks is one round; it returns seconds of wall and of processor time.
func besideChunks(ctx context.Context, c *rig.Cluster, film string, size int64, chunksFirst bool) (wall, cpu paired.Pair, err error) {
	upload := func() error {
		wall.Ours, cpu.Ours, err = timedWork(c, func() error {
			_, err := players.Upload(ctx, c.Config.Exe, c.Lab.Client, film, "ingest")
			return err
		})
		return err
	}
	chunks := func() error {
		up, err := c.OpenUpload(ctx, "chunks")
		if err != nil {
			return err
		}
		data, err := os.ReadFile(film)
		if err != nil {
			return err
		}
		for i := 0; i < len(data); i += vstack.ChunkSize {
			copy(data[i:], up.ID[:]) // fresh bytes, as the film's chunks are
		}
		wall.Base, cpu.Base, err = timedWork(c, func() error {
			n := int((size + vstack.ChunkSize - 1) / vstack.ChunkSize)
			_, _, err := rig.InFlight(ctx, n, 8, func(ctx context.Context, i int) error {
				b := data[i*vstack.ChunkSize : min((i+1)*vstack.ChunkSize, int(size))]
				return up.PutWith(ctx, c.Chunks, vstack.Slot{Video: up.Video, Track: 1, Seq: uint32(i)}, b, vstack.LeavesOf(b))
			})
			return err
		})
		return err
	}
	if chunksFirst {
		return wall, cpu, errors.Join(chunks(), upload())
	}
	return wall, cpu, errors.Join(upload(), chunks())
}

// timedWork is how long work takes, and how much processor time of this process, of those that it
// starts, and of the hosts with theirs.
func timedWork(c *rig.Cluster, work func() error) (wall, cpu float64, err error) {
	before, err := used(c)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := work(); err != nil {
		return 0, 0, err
	}
	wall = time.Since(began).Seconds()
	after, err := used(c)
	return wall, after - before, err
}

func used(c *rig.Cluster) (float64, error) {
	return readers.Used(c.Pids()...)
}

// afterLast uploads over a link of linkRate and returns how long the video is awaited once the
// link could have brought the last byte, in seconds.
func afterLast(ctx context.Context, c *rig.Cluster, film string, size int64) (float64, error) {
	to := c.Lab.Hosts[1].Config.Ingest.Addr
	ip, _, err := net.SplitHostPort(to) // the host's certificate is for its address
	if err != nil {
		return 0, err
	}
	plan := shape.Always(shape.Shape{Rate: linkRate})
	relay, err := link.Open(link.Config{Listen: ip + ":0", To: to, TCP: true, Up: plan, Down: plan})
	if err != nil {
		return 0, err
	}
	defer relay.Close()
	began := time.Now()
	_, err = players.Upload(ctx, c.Config.Exe, c.Lab.Client, film, "ingest", "--uploader", relay.Addr().String())
	return time.Since(began).Seconds() - float64(size)*8/linkRate, err
}
