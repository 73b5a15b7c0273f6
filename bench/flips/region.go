package flips

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// Region is what a byte of a store's directory is part of.
type Region string

// The regions. "Dead" are records of chunks that the store holds elsewhere by now, or no
// longer.
const (
	Identity     Region = "identity (STORE)"
	FileHeader   Region = "header of a file"
	ChunkHeader  Region = "header of a chunk"
	ChunkData    Region = "bytes of a chunk"
	ChunkPadding Region = "padding of a chunk"
	LeafTable    Region = "leaf table of a chunk"
	DeadChunk    Region = "dead chunk"
	StateRecord  Region = "vote, promise or other record"
	GroupPadding Region = "padding between groups"
	Footer       Region = "footer of a sealed file"
	Reserved     Region = "reserved ahead"
	ClusterNote  Region = "note of the cluster (cluster.json)"
)

// Harmless says why a flip in the region may go unnoticed; empty where it may not.
func (r Region) Harmless() string {
	switch r {
	case Reserved:
		return "no record lies there: nothing reads it, the next group is written over it, and an open takes it for a torn tail"
	case ClusterNote:
		return "holds no chunk and no vote, is not read while the store runs and is written anew within minutes of a change; a wrong one makes the metastore refuse the store"
	}
	return ""
}

// Place is one byte of a store's directory.
type Place struct {
	File   string
	Offset int64
	Region Region
	Chunk  vstack.ChunkID // zero outside chunks
}

func (p Place) String() string {
	return fmt.Sprintf("%s at %d of %s", p.Region, p.Offset, filepath.Base(p.File))
}

// span is a stretch of one region.
type span struct {
	from, to int64
	region   Region
	chunk    vstack.ChunkID
}

// Map is the regions of a store's files at a moment at which nothing is written.
type Map struct {
	files []mapped
}

// mapped is one file, its spans in order and without gaps.
type mapped struct {
	path  string
	spans []span
}

// ReadMap maps a store's directory. live tells whether a chunk's record is the one that
// the store serves.
func ReadMap(dir string, live func(vstack.ChunkID, vstack.LSN) bool) (*Map, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("map store: %w", err)
	}
	m := &Map{}
	for _, e := range names {
		path := filepath.Join(dir, e.Name())
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted away meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("map store: %w", err)
		}
		f := mapped{path: path}
		switch {
		case e.Name() == "STORE":
			f.spans = []span{{0, int64(len(b)), Identity, vstack.ChunkID{}}}
		case e.Name() == "cluster.json":
			f.spans = []span{{0, int64(len(b)), ClusterNote, vstack.ChunkID{}}}
		case strings.HasSuffix(e.Name(), ".vsb"):
			if f.spans, err = mapFile(b, live); err != nil {
				return nil, fmt.Errorf("map %s: %w", path, err)
			}
		default:
			continue // LOCK is empty, key.age is read at a start alone
		}
		m.files = append(m.files, f)
	}
	return m, nil
}

// mapFile walks the records of one superblock.
func mapFile(b []byte, live func(vstack.ChunkID, vstack.LSN) bool) ([]span, error) {
	var head format.FileHeader
	if len(b) < format.FileHeaderLen {
		return nil, io.ErrUnexpectedEOF
	}
	if err := head.Decode(b[:format.FileHeaderLen]); err != nil {
		return nil, err
	}
	spans := []span{{from: 0, to: format.FileHeaderLen, region: FileHeader}}
	add := func(n int64, r Region, id vstack.ChunkID) {
		if at := spans[len(spans)-1].to; n > 0 {
			spans = append(spans, span{at, at + n, r, id})
		}
	}
	// header reads the record at an offset; behind the end of a group another starts.
	header := func(at int64) (h format.Header, ok bool) {
		if at+head.Version.FixedLen() > int64(len(b)) {
			return h, false
		}
		ok = h.Decode(b[at:min(int64(len(b)), at+format.MaxHeaderLen)], head.Version, head.Salt) == nil
		return h, ok && h.Group <= at && at+h.Len() <= int64(len(b))
	}
	for at := int64(format.FileHeaderLen); ; {
		h, ok := header(at)
		if !ok {
			next := format.Align(at, format.GroupAlign)
			if h, ok = header(next); !ok || h.Group != next {
				break
			}
			add(next-at, GroupPadding, vstack.ChunkID{})
			at = next
		}
		id := h.Value.Chunk
		switch {
		case h.Kind != format.KindChunk:
			add(h.Len(), StateRecord, vstack.ChunkID{})
		case !live(id, h.LSN):
			add(h.Len(), DeadChunk, id)
		default:
			shape := h.Shape()
			add(shape.HeaderLen(), ChunkHeader, id)
			add(int64(h.DataLen), ChunkData, id)
			add(shape.LeavesOff()-shape.HeaderLen()-int64(h.DataLen), ChunkPadding, id)
			add(int64(h.LeavesLen), LeafTable, id)
			add(shape.Len()-shape.LeavesOff()-int64(h.LeavesLen), ChunkPadding, id)
		}
		at += h.Len()
	}
	end := spans[len(spans)-1].to
	add(min(format.Align(end, format.GroupAlign), int64(len(b)))-end, GroupPadding, vstack.ChunkID{})
	end = spans[len(spans)-1].to
	rest := Reserved
	var t format.Trailer
	if n := int64(len(b)); n >= end+format.TrailerLen && t.Decode(b[n-format.TrailerLen:], head.Version, n) == nil {
		if t.Footer != end {
			return nil, fmt.Errorf("footer at %d, records end at %d: %w", t.Footer, end, vstack.ErrCorrupt)
		}
		rest = Footer
	}
	add(int64(len(b))-end, rest, vstack.ChunkID{})
	return spans, nil
}

// Pick draws n different places: quiet ones (Region.Harmless), or of those that must be
// noticed. Half of them are drawn by bytes, so that most are in chunks, and half by
// region, so that none is left out.
func (m *Map) Pick(rng *rand.Rand, n int, quiet bool) []Place {
	byRegion := map[Region][]fileSpan{}
	var all []fileSpan
	var total int64
	var regions []Region
	for _, f := range m.files {
		for _, s := range f.spans {
			if (s.region.Harmless() != "") != quiet {
				continue
			}
			fs := fileSpan{f.path, s}
			if byRegion[s.region] == nil {
				regions = append(regions, s.region)
			}
			byRegion[s.region] = append(byRegion[s.region], fs)
			all = append(all, fs)
			total += s.to - s.from
		}
	}
	taken := map[string]bool{}
	var out []Place
	for tries := 0; len(out) < n && tries < 100*n && total > 0; tries++ {
		var fs fileSpan
		if tries%2 == 0 {
			at := rng.Int64N(total)
			for _, fs = range all {
				if at -= fs.to - fs.from; at < 0 {
					break
				}
			}
		} else {
			of := byRegion[regions[rng.IntN(len(regions))]]
			fs = of[rng.IntN(len(of))]
		}
		p := Place{File: fs.path, Offset: fs.from + rng.Int64N(fs.to-fs.from), Region: fs.region, Chunk: fs.chunk}
		if key := fmt.Sprint(p.File, p.Offset); !taken[key] {
			taken[key] = true
			out = append(out, p)
		}
	}
	return out
}

type fileSpan struct {
	path string
	span
}
