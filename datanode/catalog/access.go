package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// accessSize is visibility 1, tokens from 8, index of the change 8.
const accessSize = 1 + 8 + 8

// maxWatched bounds the private videos of a chunk that a token may name.
const maxWatched = 64

var visibilities = [...]vstack.Visibility{"", vstack.VisibilityPublic, vstack.VisibilityUnlisted, vstack.VisibilityPrivate}

func accessKey(id vstack.VideoID) []byte { return append([]byte{rowAccess}, id[:]...) }

func encodeAccess(a vstack.Access) ([]byte, error) {
	code := slices.Index(visibilities[:], a.Visibility)
	if code < 0 {
		return nil, fmt.Errorf("row of who may watch: %w: visibility %q", vstack.ErrInternal, a.Visibility)
	}
	from := uint64(0)
	if !a.TokensFrom.IsZero() {
		from = uint64(a.TokensFrom.Unix())
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte{byte(code)}, from), a.Index), nil
}

func decodeAccess(key, b []byte) (id vstack.VideoID, a vstack.Access, err error) {
	if len(key) != 1+len(id) || len(b) != accessSize || int(b[0]) >= len(visibilities) {
		return id, a, rotten("row of who may watch is %x: %x", key, b)
	}
	copy(id[:], key[1:])
	a = vstack.Access{Visibility: visibilities[b[0]], Index: binary.LittleEndian.Uint64(b[9:])}
	if from := binary.LittleEndian.Uint64(b[1:]); from > 0 {
		a.TokensFrom = time.Unix(int64(from), 0).UTC()
	}
	return id, a, nil
}

// recoverAccess reads into memory who may watch what, and the keys.
func (f *Follower) recoverAccess() error {
	b, err := get(f.db, []byte{rowKeys})
	if err != nil {
		return err
	}
	if b != nil {
		if err := json.Unmarshal(b, &f.keys); err != nil {
			return rotten("keys of playback tokens: %v", err)
		}
	}
	return each(f.db, []byte{rowAccess}, []byte{rowAccess + 1}, func(key, value []byte) (bool, error) {
		id, a, err := decodeAccess(key, value)
		f.access[id] = a
		return true, err
	})
}

// watch takes in who may watch a video.
func (c *change) watch(v *feed.Video) error {
	if v.Access == (vstack.Access{}) || c.access[v.ID].Index >= v.Access.Index {
		return nil
	}
	row, err := encodeAccess(v.Access)
	if err != nil {
		return err
	}
	if err := c.batch.Set(accessKey(v.ID), row, nil); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	if !c.watching {
		c.access, c.watching = maps.Clone(c.access), true // readers have the one before
	}
	c.access[v.ID] = v.Access
	c.next.Guarded = c.next.Guarded || v.Access.Private()
	return nil
}

// takeKeys takes in the keys of playback tokens, unless newer ones are here.
func (c *change) takeKeys(k *vstack.TokenKeys) error {
	if k == nil || k.Index <= c.keys.Index {
		return nil
	}
	b, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode the keys of playback tokens: %w", err)
	}
	if err := c.batch.Set([]byte{rowKeys}, b, nil); err != nil {
		return fmt.Errorf("write the catalog view: %w", err)
	}
	c.keys = *k
	return nil
}

// Guarded reports whether chunks are to be asked about before strangers get them: there is, or
// was, a private video, or this view has never been whole, and nobody knows.
func (f *Follower) Guarded() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.Guarded || !f.state.Once && f.state.Whole == 0
}

// Keys are those of playback tokens.
func (f *Follower) Keys() vstack.TokenKeys {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.keys
}

// Private is a private video.
type Private struct {
	Video  vstack.VideoID
	Access vstack.Access
}

// Watched tells whether a living video that is not private names the chunk, and else which
// private ones do. A chunk that nothing names has neither.
func (f *Follower) Watched(id vstack.ChunkID) (free bool, private []Private, err error) {
	if f.broken.Load() {
		return false, nil, fmt.Errorf("catalog view: %w", vstack.ErrClosed)
	}
	f.mu.RLock()
	access := f.access
	f.mu.RUnlock()
	lower := append([]byte{rowChunk}, id[:prefixLen]...)
	err = each(f.db, lower, after(lower), func(key, _ []byte) (bool, error) {
		pg, slot := placeOf(key)
		b, err := get(f.db, referenceKey(pg, slot))
		if err != nil || b == nil {
			return err == nil, err // it went meanwhile
		}
		if _, chunk, err := decodeReference(b); err != nil || chunk != id {
			return err == nil, err
		}
		if a := access[slot.Video]; !a.Private() {
			free = true
			return false, nil
		}
		if !slices.ContainsFunc(private, func(p Private) bool { return p.Video == slot.Video }) {
			private = append(private, Private{slot.Video, access[slot.Video]})
		}
		return len(private) < maxWatched, nil
	})
	if err != nil {
		f.fail(err)
	}
	return free, private, err
}

// heard is what the leader said of the catalog, and when it was asked.
type heard struct {
	index uint64
	at    time.Time
}

// Heard notes that the leader's catalog was at index when it was asked at a time.
func (f *Follower) Heard(index uint64, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard.index == 0 { // else the one before is still waited for
		f.heard = heard{max(index, 1), at}
	}
	f.freshen()
}

// freshen needs the lock.
func (f *Follower) freshen() {
	if f.heard.index > 0 && f.state.Whole >= f.heard.index {
		f.fresh, f.heard = f.heard.at, heard{}
	}
}

// Fresh is when the view was last known to be the leader's; zero for never.
func (f *Follower) Fresh() time.Time {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.fresh
}
