package bench

import (
	"context"
	"errors"

	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/bench/scrape"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	// latencyWidth is how many reads are in flight.
	latencyWidth = 100
	// latencyChunks are committed, so that the store which leads most of them has more
	// than its memory cache keeps: most reads go to the disk's files.
	latencyChunks = 700
	// latencyReads is how many reads one round makes.
	latencyReads = 600
	// firstByteMetric is the store's own histogram, from a read's arrival until its
	// first byte can leave: queues, disk and checksums included, network not.
	firstByteMetric = "vstack_datanode_read_first_byte_seconds"
)

// runNodeLatency asks one store for whole chunks, 100 at once over 4 connections, and
// reads the store's own histogram. The first burst after a start, which also pays for
// the store's memory and the connections, is a row of its own.
func runNodeLatency(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	up, err := c.OpenUpload(ctx, "node-latency")
	if err != nil {
		return nil, err
	}
	chunks, err := up.Fill(ctx, latencyChunks, vstack.ChunkSize)
	if err != nil {
		return nil, err
	}
	chunks = onOneStore(chunks)
	clients := make([]*getter, 4)
	for i := range clients {
		clients[i] = http3Getter(c.ID.ClientTLS())
		defer clients[i].close()
	}
	first, err := firstBytes(ctx, c, clients, chunks)
	if err != nil {
		return nil, err
	}
	steady, err := firstBytes(ctx, c, clients, chunks)
	if err != nil {
		return nil, err
	}
	return []report.Row{
		report.Figure("node-latency", "open to first byte, p50 at 100 concurrent", "ms", steady.Quantile(0.5)*1e3, nil),
		report.Figure("node-latency", "open to first byte, p99 at 100 concurrent", "ms", steady.Quantile(0.99)*1e3, report.AtMost(10)),
		report.Figure("node-latency", "the same in the first burst after a start, p99", "ms", first.Quantile(0.99)*1e3, nil),
	}, nil
}

// firstBytes makes latencyReads reads and returns what the store observed of them.
func firstBytes(ctx context.Context, c *rig.Cluster, clients []*getter, chunks []rig.Stored) (scrape.Buckets, error) {
	before, err := scrape.From(ctx, c.ID.ClientTLS(), chunks[0].Addr)
	if err != nil {
		return nil, err
	}
	_, _, err = rig.InFlight(ctx, latencyReads, latencyWidth, func(ctx context.Context, i int) error {
		ch := chunks[i%len(chunks)]
		return clients[i%len(clients)].get(ctx, "https://"+ch.Addr+"/v1/chunks/"+ch.ID.String(), ch.Size)
	})
	if err != nil {
		return nil, err
	}
	after, err := scrape.From(ctx, c.ID.ClientTLS(), chunks[0].Addr)
	if err != nil {
		return nil, err
	}
	return after.Histogram(firstByteMetric).Sub(before.Histogram(firstByteMetric)), nil
}
