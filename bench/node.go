package bench

import (
	"context"
	"errors"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	// latencyWidth is how many reads are in flight.
	latencyWidth = 100
	// latencyReads is how many reads one round makes.
	latencyReads = 600
	// firstByteMetric is the store's own histogram, from a read's arrival until its
	// first byte can leave: queues, disk and checksums included, network not.
	firstByteMetric = "vstack_datanode_read_first_byte_seconds"
)

// runNodeLatency asks one store for whole chunks, 100 at once over 4 connections,
// and reads the store's own histogram.
func runNodeLatency(ctx context.Context, opt Options) (_ []Row, err error) {
	c, err := openCluster(ctx, opt, quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	up, err := c.openUpload(ctx, "node-latency")
	if err != nil {
		return nil, err
	}
	chunks, err := up.fill(ctx, 96, vstack.ChunkSize)
	if err != nil {
		return nil, err
	}
	chunks = onOneStore(chunks)
	before, err := c.scrape(ctx, chunks[0].addr)
	if err != nil {
		return nil, err
	}
	clients := make([]*getter, 4)
	for i := range clients {
		clients[i] = http3Getter(c.id.ClientTLS())
		defer clients[i].close()
	}
	_, _, err = inFlight(ctx, latencyReads, latencyWidth, func(ctx context.Context, i int) error {
		ch := chunks[i%len(chunks)]
		return clients[i%len(clients)].get(ctx, "https://"+ch.addr+"/v1/chunks/"+ch.id.String(), ch.size)
	})
	if err != nil {
		return nil, err
	}
	after, err := c.scrape(ctx, chunks[0].addr)
	if err != nil {
		return nil, err
	}
	seen := after.histogram(firstByteMetric).sub(before.histogram(firstByteMetric))
	return []Row{
		figure("node-latency", "open to first byte, p50 at 100 concurrent", "ms", seen.quantile(0.5)*1e3, nil),
		figure("node-latency", "open to first byte, p99 at 100 concurrent", "ms", seen.quantile(0.99)*1e3, &Bound{"<=", 10}),
	}, nil
}
