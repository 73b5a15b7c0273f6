package catalog

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Rows of the view; numbers in keys are big-endian, so that byte order is their order, and in
// values little-endian.
//
//	m                                       state (state.go), JSON
//	p                                       placement map, JSON
//	g group 2                               number of the group's references, 8
//	r group 2, video 16, track 2, seq 4     size 4, chunk 32
//	c chunk's first 8, group, video, track, seq   empty: where a chunk is referred to
//	v video 16                              class 1 (0: ended), class index 8, changed 8, and of
//	                                        one that lies in fragments: k 1, m 1, small 4, for
//	                                        each hot head track 2, last seq 4
//	u upload 16                             state 1, video 16, owner 16, incarnation 8, index 8
//	e number 8                              upload 16: the uploads that ended last
//	a video 16                              visibility 1, tokens from 8, index 8 (access.go): of
//	                                        videos of which it was ever set
//	k                                       keys of playback tokens, JSON
const (
	rowState     = 'm'
	rowPlacement = 'p'
	rowGroup     = 'g'
	rowReference = 'r'
	rowChunk     = 'c'
	rowVideo     = 'v'
	rowUpload    = 'u'
	rowEnded     = 'e'
	rowAccess    = 'a'
	rowKeys      = 'k'
)

const (
	placeSize = 2 + 16 + 2 + 4 // group, video, track, seq
	prefixLen = 8              // of a chunk's name, in the rows by chunk
)

func groupKey(pg vstack.PG) []byte {
	return binary.BigEndian.AppendUint16([]byte{rowGroup}, uint16(pg))
}

// appendPlace is what references and rows by chunk are ordered by.
func appendPlace(b []byte, pg vstack.PG, s vstack.Slot) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(pg))
	b = append(b, s.Video[:]...)
	b = binary.BigEndian.AppendUint16(b, s.Track)
	return binary.BigEndian.AppendUint32(b, s.Seq)
}

func referenceKey(pg vstack.PG, s vstack.Slot) []byte {
	return appendPlace(append(make([]byte, 0, 1+placeSize), rowReference), pg, s)
}

func chunkKey(c vstack.ChunkID, pg vstack.PG, s vstack.Slot) []byte {
	return appendPlace(append(append(make([]byte, 0, 1+prefixLen+placeSize), rowChunk), c[:prefixLen]...), pg, s)
}

func videoKey(id vstack.VideoID) []byte   { return append([]byte{rowVideo}, id[:]...) }
func uploadKey(id vstack.UploadID) []byte { return append([]byte{rowUpload}, id[:]...) }

func endedKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{rowEnded}, n) }

// referencesOf bounds the references of a group, and of one video of it.
func referencesOf(pg vstack.PG, video *vstack.VideoID) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint16([]byte{rowReference}, uint16(pg))
	if video != nil {
		lower = append(lower, video[:]...)
	}
	return lower, after(lower)
}

// after is the first key behind all that begin with a prefix, which is not all 0xff.
func after(prefix []byte) []byte {
	b := append([]byte{}, prefix...)
	for i := len(b) - 1; ; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
}

// placeOf reads the end of a key.
func placeOf(key []byte) (vstack.PG, vstack.Slot) {
	b := key[len(key)-placeSize:]
	s := vstack.Slot{Track: binary.BigEndian.Uint16(b[18:]), Seq: binary.BigEndian.Uint32(b[20:])}
	copy(s.Video[:], b[2:])
	return vstack.PG(binary.BigEndian.Uint16(b)), s
}

// videoRow is what is kept of a video.
type videoRow struct {
	class      vstack.StorageClass // empty: nothing of it is readable any more
	classIndex uint64
	changed    uint64
	scheme     vstack.Scheme // zero for one that lies in copies
	kept       vstack.Kept
}

var classes = [...]vstack.StorageClass{"", vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming}

const (
	videoSize    = 1 + 8 + 8
	layoutSize   = 1 + 1 + 4
	hotStartSize = 2 + 4
)

func (v videoRow) encode() ([]byte, error) {
	le := binary.LittleEndian
	code := slices.Index(classes[:], v.class)
	if code < 0 {
		return nil, fmt.Errorf("row of a video: %w: class %q", vstack.ErrInternal, v.class)
	}
	b := le.AppendUint64(le.AppendUint64([]byte{byte(code)}, v.classIndex), v.changed)
	if v.scheme.IsZero() {
		return b, nil
	}
	b = le.AppendUint32(append(b, v.scheme.K, v.scheme.M), v.kept.Small)
	for _, h := range v.kept.Heads {
		b = le.AppendUint32(le.AppendUint16(b, h.Track), h.Last)
	}
	return b, nil
}

func decodeVideo(b []byte) (v videoRow, err error) {
	le := binary.LittleEndian
	rest := len(b) - videoSize - layoutSize
	if len(b) != videoSize && (rest < 0 || rest%hotStartSize != 0) || int(b[0]) >= len(classes) {
		return v, rotten("row of a video is %x", b)
	}
	v = videoRow{class: classes[b[0]], classIndex: le.Uint64(b[1:]), changed: le.Uint64(b[9:])}
	if len(b) == videoSize {
		return v, nil
	}
	b = b[videoSize:]
	v.scheme, v.kept.Small = vstack.Scheme{K: b[0], M: b[1]}, le.Uint32(b[2:])
	if err := v.scheme.Check(); err != nil {
		return v, rotten("row of a video: %v", err)
	}
	for b = b[layoutSize:]; len(b) > 0; b = b[hotStartSize:] {
		v.kept.Heads = append(v.kept.Heads, vstack.HotStart{Track: le.Uint16(b), Last: le.Uint32(b[2:])})
	}
	return v, nil
}

func encodeReference(size uint32, c vstack.ChunkID) []byte {
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, 36), size), c[:]...)
}

func decodeReference(b []byte) (size uint32, c vstack.ChunkID, err error) {
	if len(b) != 4+len(c) {
		return 0, c, rotten("reference is %x", b)
	}
	copy(c[:], b[4:])
	return binary.LittleEndian.Uint32(b), c, nil
}

var uploadStates = [...]vstack.UploadState{vstack.UploadOpen, vstack.UploadPublished, vstack.UploadAborted}

func encodeUpload(u vstack.Upload) ([]byte, error) {
	for code, s := range uploadStates {
		if s == u.State {
			b := append(append([]byte{byte(code)}, u.Video[:]...), u.Owner[:]...)
			b = binary.LittleEndian.AppendUint64(b, uint64(u.Incarnation))
			return binary.LittleEndian.AppendUint64(b, u.Index), nil
		}
	}
	return nil, fmt.Errorf("row of upload %s: %w: state %q", u.ID, vstack.ErrInternal, u.State)
}

func decodeUpload(key, b []byte) (u vstack.Upload, err error) {
	if len(key) != 17 || len(b) != 49 || int(b[0]) >= len(uploadStates) {
		return u, rotten("row of an upload is %x: %x", key, b)
	}
	copy(u.ID[:], key[1:])
	u.State = uploadStates[b[0]]
	copy(u.Video[:], b[1:])
	copy(u.Owner[:], b[17:])
	u.Incarnation, u.Index = vstack.Incarnation(binary.LittleEndian.Uint64(b[33:])), binary.LittleEndian.Uint64(b[41:])
	return u, nil
}

func rotten(format string, args ...any) error {
	return fmt.Errorf("catalog view: "+format+": %w", append(args, vstack.ErrCorrupt)...)
}
