package datanode

import (
	"os"
	"strconv"
	"testing"

	"github.com/vstack/vstack/bench/flips"
	"github.com/vstack/vstack/internal/vstack"
)

// TestFlippedBytesOfARunningStore flips bytes under a datanode that serves: none is ever
// served, each is reported, the chunks heal from the peers. It is a slice of `vstack
// bench run flips`; VSTACK_SOAK flips more.
func TestFlippedBytesOfARunningStore(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.CacheMemory = -1 })
	published, open := c.open(), c.open()
	var refs []vstack.ChunkRef
	for seq := range uint32(40) {
		refs = append(refs, c.put(published, seq+1, random(2000+int(seq)*2500), c.nodes...))
		c.put(open, seq+1, random(500+int(seq)*20), c.nodes...)
	}
	c.publish(published, refs...)
	n := c.nodes[0]
	seen := 0
	target := &flips.Target{
		Dir: n.dataDir(), Addr: n.addr, HTTP: c.client, Whole: true,
		Findings: func() ([]flips.Finding, error) {
			all := n.server.stores[0].disk.Findings()
			var out []flips.Finding
			for _, f := range all[seen:] {
				out = append(out, flips.Finding{File: f.File, Offset: f.Offset, Length: f.Length})
			}
			seen = len(all)
			return out, nil
		},
	}
	count := 120
	if k, err := strconv.Atoi(os.Getenv("VSTACK_SOAK")); err == nil {
		count = min(960, count*max(1, k)) // a store keeps its first 1,000 findings
	}
	res, err := flips.Run(t.Context(), target, flips.Options{Flips: count, Batch: 40, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	for region, c := range res.Regions {
		t.Logf("%-32s %+v", region, *c)
	}
	t.Logf("%d reads, %d refused, %d healed", res.Reads, res.Refused, res.Healed)
	if res.Wrong+res.Missed+res.Uncaused != 0 || res.Flips != count || res.Refused == 0 || res.Healed != res.Refused {
		t.Errorf("%+v", res)
	}
}
