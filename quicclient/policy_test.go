package quicclient

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

// striping cuts chunks into ranges and gives range n to holder n.
type striping struct {
	parts int64
}

func (striping) Name() string { return "striping" }

func (s striping) Decide(v policy.View) (d policy.Decision) {
	for _, p := range v.Pieces {
		if len(p.Running) > 0 {
			continue
		}
		part := (p.Size + s.parts - 1) / s.parts
		return policy.Decision{Actions: []policy.Action{{
			Kind: policy.Start, Piece: p.ID, Store: p.Holders[int(p.From/part)%len(p.Holders)], From: p.From, Length: min(part, p.Left()),
		}}}
	}
	return d
}

func TestRangesOfSeveralStoresMakeOneChunk(t *testing.T) {
	c := newCluster(t, 3)
	data := chunkOf(1, 1_000_003)
	ref := c.put(data, 0, 1, 2)
	got, err := c.client(func(cfg *Config) { cfg.Policy = striping{6} }).Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil || !bytes.Equal(got.Data, data) {
		t.Fatal(err)
	}
	if len(got.Sources) != 3 || c.seen("get") != 6 || got.Retries != 0 {
		t.Errorf("%d requests, sources %+v", c.seen("get"), got.Sources)
	}
	var sum int64
	for _, s := range got.Sources {
		sum += s.Bytes
	}
	if sum != int64(len(data)) {
		t.Errorf("sources delivered %d of %d bytes", sum, len(data))
	}
}

func TestLyingRangeIsFoundAndRepaired(t *testing.T) {
	c := newCluster(t, 3)
	data := chunkOf(2, 600_000)
	ref := c.put(data, 0, 1, 2)
	c.stores[1].onGet = func(w http.ResponseWriter, r *http.Request, data []byte) bool {
		bad := bytes.Clone(data)
		for i := range bad {
			bad[i] ^= 0x55
		}
		_ = serveRange(w, r, bad)
		return true
	}
	got, err := c.client(func(cfg *Config) { cfg.Policy = striping{3} }).Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil || !bytes.Equal(got.Data, data) {
		t.Fatal(err)
	}
	if len(got.Sources) != 1 || got.Store == c.stores[1].id {
		t.Errorf("sources %+v; want one honest store for all of it", got.Sources)
	}
}

// broken is wrong in every way a policy can be.
type broken struct{ asked chan struct{} }

func (broken) Name() string { return "broken" }

func (b broken) Decide(v policy.View) (d policy.Decision) {
	select {
	case b.asked <- struct{}{}:
	default:
	}
	for _, p := range v.Pieces {
		for _, h := range append(p.Holders, 99, -1) {
			d.Actions = append(d.Actions,
				policy.Action{Kind: policy.Start, Piece: p.ID + 1000, Store: h, Length: 10},
				policy.Action{Kind: policy.Start, Piece: p.ID, Store: h, From: -5, Length: 10},
				policy.Action{Kind: policy.Start, Piece: p.ID, Store: h, From: 5, Length: p.Size},
				policy.Action{Kind: policy.Start, Piece: p.ID, Store: h},
				policy.Action{Kind: policy.Take, Piece: p.ID, Store: h, From: 5},
				policy.Action{Kind: policy.Cancel, Piece: p.ID, Store: h},
				policy.Action{Kind: 99, Piece: p.ID, Store: h})
		}
	}
	d.Wake = -time.Hour
	return d
}

func TestBrokenPolicyHarmsOnlyProgress(t *testing.T) {
	c := newCluster(t, 3)
	ref := c.put(chunkOf(3, 1000), 0, 1, 2)
	b := broken{make(chan struct{}, 1)}
	cl := c.client(func(cfg *Config) { cfg.Policy = b })
	ctx, cancel := context.WithCancel(ctxFor(t))
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := cl.Fetch(ctx, testSlot(1), ref); ended <- err }()
	<-b.asked
	<-b.asked // it is asked again and again, and nothing breaks
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if c.seen("get") != 0 {
		t.Error("a store was asked")
	}
}

func TestConfigRefuses(t *testing.T) {
	c := newCluster(t, 3)
	for name, change := range map[string]func(*Config){
		"no TLS":               func(c *Config) { c.TLS = nil },
		"no placement":         func(c *Config) { c.Placement = nil },
		"a read transport":     func(c *Config) { c.ReadTransport = "smoke" },
		"a write transport":    func(c *Config) { c.WriteTransport = "pigeon" },
		"a negative duration":  func(c *Config) { c.IdleTimeout = -1 },
		"a negative bound":     func(c *Config) { c.FetchRounds = -1 },
		"too many attempts":    func(c *Config) { c.CommitAttempts = maxAttempts + 1 },
		"negative connections": func(c *Config) { c.WriteConns = -1 },
	} {
		cfg := Config{TLS: c.readerTLS(), Placement: c.getPlacement}
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
