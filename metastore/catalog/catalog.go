package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-memdb"
	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/meter"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// Config is what a Catalog needs from outside.
type Config struct {
	// Fatal is told once when the log holds something that this member cannot apply;
	// the process must exit. After it the catalog refuses every command. Required.
	Fatal func(error)
	// Logger. Default slog.Default().
	Logger *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Blobs keeps the manifests; whoever opened it closes it. Default: in memory.
	Blobs *blobs.Store
	// Oldest is the Raft index of the oldest snapshot that is kept, 0 where that is not known:
	// what was deleted after it is kept, too. Default 0.
	Oldest func() uint64
}

// Validate reports the first field that cannot work.
func (c *Config) Validate() error {
	if c.Fatal == nil {
		return fmt.Errorf("catalog: %w: Fatal is required", vstack.ErrInvalid)
	}
	return nil
}

// Catalog implements raft.BatchingFSM. Reads go through View and are safe at any
// time; Apply, Snapshot and Restore are called by Raft alone.
type Catalog struct {
	cfg    Config
	db     atomic.Pointer[memdb.MemDB] // replaced by Restore
	halted error                       // set by the Raft goroutine only
	// requests finds the remembered answers; the Raft goroutine's alone.
	requests map[string]*rows.Request
	metrics  *meter.Meter
	blobs    *blobs.Store
	lost     sync.Once

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when Applied grows
	refused error         // of the first snapshot that could not be restored
}

var _ raft.BatchingFSM = (*Catalog)(nil)

// New makes an empty catalog.
func New(cfg Config) (*Catalog, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	m, err := meter.New(cfg.Registry)
	if err != nil {
		return nil, err
	}
	if cfg.Blobs == nil {
		cfg.Blobs = blobs.InMemory()
	}
	c := &Catalog{cfg: cfg, changed: make(chan struct{}), metrics: m, requests: map[string]*rows.Request{}, blobs: cfg.Blobs}
	db, err := rows.NewDB()
	if err != nil {
		return nil, err
	}
	c.db.Store(db)
	return c, nil
}

// Apply applies one entry; its answer is a *Result.
func (c *Catalog) Apply(l *raft.Log) any { return c.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies committed entries in one transaction; readers see all or none of
// them. The answers are *Result.
func (c *Catalog) ApplyBatch(logs []*raft.Log) []any {
	start := time.Now() // for the metric only
	out := make([]any, len(logs))
	txn := c.db.Load().Txn(true)
	defer txn.Abort()
	a, err := c.begin(txn)
	for i, l := range logs {
		if c.halted == nil && err == nil && l.Type == raft.LogCommand {
			var res *command.Result
			var cmd command.Command
			if cmd, err = command.Decode(l.Data); err == nil {
				res, err = a.apply(cmd, l.Index)
				out[i] = res
				if res != nil { // an unknown type halts the member and is not a label
					c.metrics.Observe(string(cmd.Type), string(res.Code))
				}
			}
			if err != nil {
				err = fmt.Errorf("apply entry %d: %w", l.Index, err)
			}
		}
		if c.halted != nil || err != nil {
			out[i] = &command.Result{Index: l.Index, Code: vstack.ErrInternal.Code(), Detail: "this member's catalog has halted"}
		}
	}
	if err == nil {
		err = a.finish()
	}
	if err != nil && c.halted == nil {
		c.halt(err)
	}
	if c.halted != nil {
		return out
	}
	txn.Commit()
	c.broadcast()
	c.metrics.Applied(a.meta.Counts(), time.Since(start))
	return out
}

func (c *Catalog) halt(err error) {
	c.halted = err
	c.cfg.Logger.Error("catalog halted: going on would fork it", "err", err)
	c.cfg.Fatal(err)
}

// broadcast wakes everybody who waits for a change.
func (c *Catalog) broadcast() {
	c.mu.Lock()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
}

// Changed returns a channel that is closed by the next change. Take it before the
// View that you judge by.
func (c *Catalog) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// WaitFor blocks until done says true of a view, or ctx ends.
func (c *Catalog) WaitFor(ctx context.Context, done func(*View) bool) error {
	for {
		changed := c.Changed()
		if done(c.View()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitApplied blocks until the catalog has applied index; ErrCatalogLagging when ctx
// ends first.
func (c *Catalog) WaitApplied(ctx context.Context, index uint64) error {
	err := c.WaitFor(ctx, func(v *View) bool { return v.Applied() >= index })
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("wait for index %d: %w: at %d", index, vstack.ErrCatalogLagging, c.View().Applied())
	}
	return err
}

// View takes a consistent snapshot.
func (c *Catalog) View() *View {
	txn := c.db.Load().Txn(false)
	v := &View{txn: txn, blobs: c.blobs, of: c}
	// The row is inserted with the tables and never deleted.
	v.meta = rows.Get[*rows.Meta](txn, rows.TableMeta, []byte{1})
	return v
}
