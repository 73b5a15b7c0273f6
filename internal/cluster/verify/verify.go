package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Parallel is how many copies are asked for at once.
const Parallel = 8

// BadCopy is one copy that is not as it should be.
type BadCopy struct {
	Slot  vstack.Slot    `json:"slot"`
	Chunk vstack.ChunkID `json:"chunk"`
	Store vstack.StoreID `json:"store"`
	Addr  string         `json:"addr"`
	Error string         `json:"error"`
}

// Report is the outcome of `video verify`.
type Report struct {
	Video      vstack.VideoID `json:"video"`
	Deep       bool           `json:"deep"`   // every byte of every copy was read and hashed
	Chunks     int            `json:"chunks"` // of the manifest
	Copies     int            `json:"copies"` // that there should be; of a chunk in fragments, these
	Good       int            `json:"good"`
	Bytes      int64          `json:"bytes"`      // read
	Unreadable int            `json:"unreadable"` // chunks without a good copy, or with too few fragments
	ByCopies   []int          `json:"by_copies"`  // how many chunks have 0, 1, 2 … good copies or fragments
	Bad        []BadCopy      `json:"bad"`
}

// Verifier asks stores.
type Verifier struct {
	Meta *metaclient.Client
	Web  *httpclient.Client
}

// Video asks each holder that the catalog names for its copy, or its fragment.
func (c *Verifier) Video(ctx context.Context, prog *console.Progress, id vstack.VideoID, deep bool) (Report, error) {
	r := Report{Video: id, Deep: deep, Bad: []BadCopy{}}
	pl, err := c.Meta.VideoPlacement(ctx, id)
	if err != nil {
		return r, console.Hint(err, "vstack video ls")
	}
	m, err := c.Meta.Placement(ctx)
	if err != nil {
		return r, err
	}
	r.Chunks = len(pl.Slots)
	for _, s := range pl.Slots {
		r.Copies += len(s.Holders)
	}
	task := prog.Task("verify", console.UnitCount, int64(r.Copies))
	errs := make([][]error, len(pl.Slots)) // by slot and holder; nil is a good copy
	var done, read atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(Parallel)
	for i, s := range pl.Slots {
		errs[i] = make([]error, len(s.Holders))
		if !s.Scheme.IsZero() {
			g.Go(func() error {
				n := c.fragmentsOf(gctx, m, s, deep, errs[i])
				task.Set(done.Add(int64(len(s.Holders))), int64(r.Copies), console.Bytes(read.Add(n)))
				return gctx.Err()
			})
			continue
		}
		for j, holder := range s.Holders {
			g.Go(func() error {
				st, _ := m.Store(holder)
				n, err := c.copyAt(gctx, st.Addr, s.Chunk, deep)
				errs[i][j] = err
				task.Set(done.Add(1), int64(r.Copies), console.Bytes(read.Add(n)))
				return gctx.Err()
			})
		}
	}
	if err := g.Wait(); err != nil {
		task.Fail("left")
		return r, err
	}
	r.Bytes = read.Load()
	r.tally(pl.Slots, m, errs)
	task.End(fmt.Sprintf("%d of %d copies good", r.Good, r.Copies))
	return r, nil
}

func (r *Report) tally(slots []wire.SlotPlacement, m *vstack.PlacementMap, errs [][]error) {
	for i, s := range slots {
		good := 0
		for j, holder := range s.Holders {
			if errs[i][j] == nil {
				good++
				continue
			}
			st, _ := m.Store(holder)
			r.Bad = append(r.Bad, BadCopy{Slot: s.Slot, Chunk: s.Chunk.ID, Store: holder, Addr: st.Addr, Error: errs[i][j].Error()})
		}
		r.Good += good
		for len(r.ByCopies) <= max(good, vstack.Acceptors) {
			r.ByCopies = append(r.ByCopies, 0)
		}
		r.ByCopies[good]++
		if good < max(1, int(s.Scheme.K)) {
			r.Unreadable++
		}
	}
}

// copyAt checks one store's copy: that it has it in the right size, or, deep, that its
// bytes hash to its name. It returns the bytes read.
func (c *Verifier) copyAt(ctx context.Context, addr string, ref vstack.ChunkRef, deep bool) (int64, error) {
	method := http.MethodHead
	if deep {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+addr+"/v1/chunks/"+ref.ID.String(), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set(wire.HeaderFragments, wire.FragmentsAsked) // one that is joined is no copy
	resp, err := c.Web.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, wire.ReadError(resp)
	}
	if resp.ContentLength != int64(ref.Size) {
		return 0, fmt.Errorf("has %d bytes, want %d: %w", resp.ContentLength, ref.Size, vstack.ErrCorrupt)
	}
	if !deep {
		return 0, nil
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(resp.Body, int64(ref.Size)+1))
	if err != nil {
		return n, err
	}
	if got := vstack.ChunkID(h.Sum(nil)); got != ref.ID {
		return n, fmt.Errorf("bytes hash to %s: %w", got.Short(), vstack.ErrHashMismatch)
	}
	return n, nil
}
