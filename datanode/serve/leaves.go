package serve

import (
	"container/list"
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// keptTables bounds the leaf tables in memory: 1 KiB each, of 2 MiB chunks.
const keptTables = 4096

// LeafTables is a store that keeps leaf tables beside its chunks. A Chunks that is none has
// them made of the bytes when somebody asks.
type LeafTables interface {
	// LeafTable is the table that was stored with a chunk; nil if none was.
	LeafTable(ctx context.Context, id vstack.ChunkID) (vstack.LeafTable, error)
}

// tables are leaf tables that were read or made lately, and those that were made anew
// because a stored one did not match.
type tables struct {
	mu     sync.Mutex
	byID   map[vstack.ChunkID]*list.Element
	recent *list.List // of namedTable, the latest first
}

type namedTable struct {
	id    vstack.ChunkID
	table vstack.LeafTable
}

func newTables() *tables {
	return &tables{byID: map[vstack.ChunkID]*list.Element{}, recent: list.New()}
}

func (t *tables) get(id vstack.ChunkID) vstack.LeafTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byID[id]
	if e == nil {
		return nil
	}
	t.recent.MoveToFront(e)
	return e.Value.(namedTable).table
}

func (t *tables) put(id vstack.ChunkID, table vstack.LeafTable) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byID[id]; e != nil {
		e.Value = namedTable{id, table}
		t.recent.MoveToFront(e)
		return
	}
	t.byID[id] = t.recent.PushFront(namedTable{id, table})
	if t.recent.Len() > keptTables {
		last := t.recent.Remove(t.recent.Back()).(namedTable)
		delete(t.byID, last.id)
	}
}

// wantsLeaves reports whether a request asks for the chunk's leaf table, and whether for
// one that is made of the bytes now: whoever asks for that has seen one that did not match.
func wantsLeaves(req *http.Request) (wants, fresh bool) {
	asked := req.Header[wire.HeaderLeaves]
	if len(asked) != 1 || asked[0] != "?" {
		return false, false
	}
	return true, req.URL.RawQuery == "leaves=fresh"
}

// leaves finds or makes the table of the whole chunk. Of a chunk that is not here nobody can
// make one beside a fragment: what came with the fragment is all there is.
func (r *Reader) leaves(ctx context.Context, c content, fresh bool) (vstack.LeafTable, error) {
	if c.from == fromFragment {
		t, err := r.cfg.Store.(Fragments).PieceLeaves(ctx, c.id, c.piece)
		if err != nil {
			return nil, fmt.Errorf("leaf table of fragment %s of chunk %s: %w", c.piece, c.id.Short(), err)
		}
		return t, nil
	}
	if !fresh {
		if t := r.tables.get(c.id); t != nil {
			return t, nil
		}
		if kept, ok := r.cfg.Store.(LeafTables); ok && c.from != fromPeers {
			t, err := kept.LeafTable(ctx, c.id)
			if err != nil {
				return nil, fmt.Errorf("leaf table of chunk %s: %w", c.id.Short(), err)
			}
			if t != nil {
				r.tables.put(c.id, t)
				return t, nil
			}
		}
	}
	data, release, err := r.allOf(ctx, c)
	if err != nil {
		return nil, err
	}
	defer release()
	t := vstack.LeavesOf(data)
	r.tables.put(c.id, t)
	return t, nil
}

// allOf is the whole chunk, also where only a part of it was asked for.
func (r *Reader) allOf(ctx context.Context, c content) (data []byte, release func(), err error) {
	if c.from == fromPeers {
		data, err = r.rebuild(ctx, c)
		return data, func() {}, err
	}
	data, release, _, err = r.readShared(ctx, c.id, span{0, int64(c.whole)})
	return data, release, err
}
