package feed

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// ContentType is the form of doc.go.
const ContentType = "application/vnd.vstack.feed.v1"

const (
	// A page that says who may watch is of the third version, one in which a video lies in
	// fragments of the second; no other is.
	magic1        = "VSFEED\x01\x00"
	magic2        = "VSFEED\x02\x00"
	magic3        = "VSFEED\x03\x00"
	headSize      = 41
	uploadSize    = 16 + 16 + 16 + 1 + 8 + 8
	videoSize     = 16 + 1 + 1 + 8 + 8 + 4
	layoutSize    = 1 + 1 + 4 + 1 // of the second version
	accessSize    = 1 + 8 + 8     // of the third
	hotStartSize  = 2 + 4
	referenceSize = 2 + 4 + 4 + 32
	sumSize       = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The codes of states and classes are their places, from 1.
var (
	uploadStates = []vstack.UploadState{vstack.UploadOpen, vstack.UploadPublished, vstack.UploadAborted}
	videoStates  = []vstack.VideoState{vstack.VideoPublished, vstack.VideoFailed, vstack.VideoDeleted}
	visibilities = []vstack.Visibility{vstack.VisibilityPublic, vstack.VisibilityUnlisted, vstack.VisibilityPrivate} // 0: none was ever set
	classes      = []vstack.StorageClass{vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming}
)

// Append writes the page behind b. It fails only on a state or class that has no code.
func (p *Page) Append(b []byte) ([]byte, error) {
	start := len(b)
	le := binary.LittleEndian
	f := p.form()
	b = append(b, f.magic()...)
	b = le.AppendUint64(b, p.Index)
	b = le.AppendUint64(b, p.At)
	b = append(b, p.Cluster[:]...)
	more := byte(0)
	if p.More {
		more = 1
	}
	b = append(b, more)
	var err error
	if p.Placement != nil && p.PlacementJSON != nil {
		b = append(le.AppendUint32(b, uint32(len(p.PlacementJSON))), p.PlacementJSON...)
	} else {
		b, err = appendJSON(b, p.Placement)
	}
	if err == nil && f.access {
		b, err = appendJSON(b, p.Keys)
	}
	if err != nil {
		return nil, err
	}
	b = le.AppendUint32(b, uint32(len(p.Uploads)))
	for i := range p.Uploads {
		u := &p.Uploads[i]
		state := code(uploadStates, u.State)
		if state == 0 {
			return nil, fmt.Errorf("encode a feed page: upload %s: %w: state %q", u.ID, vstack.ErrInternal, u.State)
		}
		b = append(append(append(b, u.ID[:]...), u.Video[:]...), u.Owner[:]...)
		b = append(b, state)
		b = le.AppendUint64(b, uint64(u.Incarnation))
		b = le.AppendUint64(b, u.Index)
	}
	b = le.AppendUint32(b, uint32(len(p.Videos)))
	for i := range p.Videos {
		var err error
		if b, err = p.Videos[i].append(b, f); err != nil {
			return nil, err
		}
	}
	return le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

// appendJSON appends a length and JSON; of nil, the length 0.
func appendJSON[T any](b []byte, v *T) ([]byte, error) {
	if v == nil {
		return binary.LittleEndian.AppendUint32(b, 0), nil
	}
	j, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a %T of a feed page: %w", v, err)
	}
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(j))), j...), nil
}

func (v *Video) append(b []byte, f form) ([]byte, error) {
	le := binary.LittleEndian
	state, class := code(videoStates, v.State), code(classes, v.Class)
	if state == 0 || (class == 0) != v.Ended() || v.Ended() && len(v.References) > 0 {
		return nil, fmt.Errorf("encode a feed page: video %s: %w: state %q, class %q, %d references", v.ID, vstack.ErrInternal, v.State, v.Class, len(v.References))
	}
	b = append(b, v.ID[:]...)
	b = append(b, state, class)
	b = le.AppendUint64(b, v.ClassIndex)
	b = le.AppendUint64(b, v.Changed)
	if f.access {
		seen := code(visibilities, v.Access.Visibility)
		if seen == 0 && v.Access.Visibility != "" || v.Ended() && v.Access != (vstack.Access{}) {
			return nil, fmt.Errorf("encode a feed page: video %s: %w: visibility %q", v.ID, vstack.ErrInternal, v.Access.Visibility)
		}
		b = append(b, seen)
		b = le.AppendUint64(b, secondsOf(v.Access.TokensFrom))
		b = le.AppendUint64(b, v.Access.Index)
	}
	if f.layouts {
		if len(v.Kept.Heads) > vstack.MaxTracks {
			return nil, fmt.Errorf("encode a feed page: video %s: %w: hot heads of %d tracks", v.ID, vstack.ErrInternal, len(v.Kept.Heads))
		}
		b = append(b, v.Scheme.K, v.Scheme.M)
		b = le.AppendUint32(b, v.Kept.Small)
		b = append(b, byte(len(v.Kept.Heads)))
		for _, h := range v.Kept.Heads {
			b = le.AppendUint32(le.AppendUint16(b, h.Track), h.Last)
		}
	}
	b = le.AppendUint32(b, uint32(len(v.References)))
	for i := range v.References {
		r := &v.References[i]
		b = le.AppendUint16(b, r.Track)
		b = le.AppendUint32(b, r.Seq)
		b = le.AppendUint32(b, r.Size)
		b = append(b, r.Chunk[:]...)
	}
	return b, nil
}

// form is what a page has beside the first version's: layouts from the second on, access from
// the third on.
type form struct{ layouts, access bool }

func (p *Page) form() form {
	access := p.Keys != nil || slices.ContainsFunc(p.Videos, func(v Video) bool { return v.Access != vstack.Access{} })
	return form{access || slices.ContainsFunc(p.Videos, func(v Video) bool { return !v.Scheme.IsZero() }), access}
}

func (f form) magic() string {
	switch {
	case f.access:
		return magic3
	case f.layouts:
		return magic2
	}
	return magic1
}

// secondsOf is 0 for no time.
func secondsOf(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())
}

func code[T comparable](of []T, v T) byte { return byte(slices.Index(of, v) + 1) }

// Decode reads a page. What it answers shares nothing with b, and takes no more memory than a
// few times its length.
func Decode(b []byte) (Page, error) {
	access := bytes.HasPrefix(b, []byte(magic3))
	f := form{access || bytes.HasPrefix(b, []byte(magic2)), access}
	if len(b) < headSize+3*4+sumSize || !f.layouts && !bytes.HasPrefix(b, []byte(magic1)) {
		return Page{}, malformed("%d bytes that begin with %x", len(b), b[:min(8, len(b))])
	}
	body, sum := b[:len(b)-sumSize], binary.LittleEndian.Uint32(b[len(b)-sumSize:])
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return Page{}, malformed("checksum %08x, want %08x", got, sum)
	}
	r := reader{b: body[len(magic1):], form: f}
	p := Page{Index: r.u64(), At: r.u64()}
	copy(p.Cluster[:], r.take(16))
	more := r.take(1)[0]
	p.More = more == 1
	if more > 1 {
		return Page{}, malformed("flag %d", more)
	}
	if p.At < p.Index {
		return Page{}, malformed("index %d of a catalog at %d", p.Index, p.At)
	}
	if err := readJSON(&r, &p.Placement); err != nil {
		return Page{}, err
	}
	if access {
		if err := readJSON(&r, &p.Keys); err != nil {
			return Page{}, err
		}
	}
	if err := r.uploads(&p); err != nil {
		return Page{}, err
	}
	if err := r.videos(&p); err != nil {
		return Page{}, err
	}
	if len(r.b) != 0 {
		return Page{}, malformed("%d bytes behind its end", len(r.b))
	}
	if p.form() != f {
		return Page{}, malformed("it begins with %x, and nothing in it asks for that", b[:len(magic1)])
	}
	return p, nil
}

// reader takes fields off the front. It trusts its caller to have compared the length before:
// count does for what follows it.
type reader struct {
	b []byte
	form
}

func (r *reader) take(n int) []byte {
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// count reads a number of things of at least size bytes each.
func (r *reader) count(size int) (int, error) {
	if len(r.b) < 4 {
		return 0, malformed("it ends early")
	}
	if n := r.u32(); uint64(n)*uint64(size) <= uint64(len(r.b)) {
		return int(n), nil
	}
	return 0, malformed("it ends early")
}

// readJSON reads what appendJSON wrote.
func readJSON[T any](r *reader, into **T) error {
	n, err := r.count(1)
	if err != nil || n == 0 {
		return err
	}
	*into = new(T)
	if err := json.Unmarshal(r.take(n), *into); err != nil {
		return malformed("%T: %v", *into, err)
	}
	return nil
}

func (r *reader) uploads(p *Page) error {
	n, err := r.count(uploadSize)
	if err != nil {
		return err
	}
	if n > 0 {
		p.Uploads = make([]vstack.Upload, n)
	}
	for i := range p.Uploads {
		u := &p.Uploads[i]
		copy(u.ID[:], r.take(16))
		copy(u.Video[:], r.take(16))
		copy(u.Owner[:], r.take(16))
		state := int(r.take(1)[0])
		if state < 1 || state > len(uploadStates) {
			return malformed("state %d of upload %s", state, u.ID)
		}
		u.State = uploadStates[state-1]
		u.Incarnation, u.Index = vstack.Incarnation(r.u64()), r.u64()
	}
	return nil
}

func (r *reader) videos(p *Page) error {
	size := videoSize
	if r.layouts {
		size += layoutSize
	}
	if r.access {
		size += accessSize
	}
	n, err := r.count(size)
	if err != nil {
		return err
	}
	if n > 0 {
		p.Videos = make([]Video, n)
	}
	for i := range p.Videos {
		// Each has taken its own bytes only: those of references of one before are gone.
		if len(r.b) < size {
			return malformed("it ends early")
		}
		if err := r.video(&p.Videos[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) video(v *Video) error {
	copy(v.ID[:], r.take(16))
	state, class := int(r.take(1)[0]), int(r.take(1)[0])
	if state < 1 || state > len(videoStates) || class > len(classes) {
		return malformed("state %d, class %d of video %s", state, class, v.ID)
	}
	v.State = videoStates[state-1]
	if class > 0 {
		v.Class = classes[class-1]
	}
	v.ClassIndex, v.Changed = r.u64(), r.u64()
	if r.access {
		if err := r.seen(v); err != nil {
			return err
		}
	}
	if r.layouts {
		if err := r.layout(v); err != nil {
			return err
		}
	}
	n, err := r.count(referenceSize)
	if err != nil {
		return err
	}
	if (class == 0) != v.Ended() || v.Ended() && n > 0 {
		return malformed("class %d, %d references of video %s, which is %s", class, n, v.ID, v.State)
	}
	if n > 0 {
		v.References = make([]Reference, n)
	}
	for i := range v.References {
		ref := &v.References[i]
		ref.Track, ref.Seq, ref.Size = r.u16(), r.u32(), r.u32()
		copy(ref.Chunk[:], r.take(32))
		if ref.Size == 0 || ref.Size > vstack.MaxChunkSize {
			return malformed("chunk %s of %d bytes", ref.Chunk.Short(), ref.Size)
		}
	}
	return nil
}

// seen reads who may watch a video.
func (r *reader) seen(v *Video) error {
	code, from, index := int(r.take(1)[0]), r.u64(), r.u64()
	if code > len(visibilities) || from > 1<<40 || v.Class == "" && (code != 0 || from != 0 || index != 0) || index == 0 && (code != 0 || from != 0) {
		return malformed("visibility %d, tokens from %d, of %d, of video %s", code, from, index, v.ID)
	}
	v.Access.Index = index
	if code > 0 {
		v.Access.Visibility = visibilities[code-1]
	}
	if from > 0 {
		v.Access.TokensFrom = time.Unix(int64(from), 0).UTC()
	}
	return nil
}

// layout reads how a video lies. A class that asks for fragments has a scheme, and no other.
func (r *reader) layout(v *Video) error {
	b := r.take(2)
	v.Scheme = vstack.Scheme{K: b[0], M: b[1]}
	v.Kept.Small = r.u32()
	n := int(r.take(1)[0])
	if n*hotStartSize > len(r.b) {
		return malformed("it ends early")
	}
	for range n {
		v.Kept.Heads = append(v.Kept.Heads, vstack.HotStart{Track: r.u16(), Last: r.u32()})
	}
	if v.Class == "" || v.Class == vstack.ClassHot {
		if !v.Scheme.IsZero() || v.Kept.Small != 0 || n != 0 {
			return malformed("scheme %d+%d of video %s in class %q", v.Scheme.K, v.Scheme.M, v.ID, v.Class)
		}
		return nil
	}
	if err := v.Scheme.Check(); err != nil {
		return malformed("video %s: %v", v.ID, err)
	}
	return nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("feed page: "+format+": %w", append(args, vstack.ErrInvalid)...)
}
