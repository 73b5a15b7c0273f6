package browser

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Sizes of the fixed parts, bytes.
const (
	RequestSize = 52
	HeadSize    = 56
	TailSize    = 36
	SignalsSize = 32
)

const (
	requestMagic = "VSR1"
	headMagic    = "VSA1"
	tailMagic    = "VSE1"
)

// Flags of a Request.
const (
	flagLeaves = 1 << iota
	flagFresh
	flagHeld
	flagsKnown = flagLeaves | flagFresh | flagHeld
)

// MaxUrgency is the last urgency of RFC 9218; 0 comes first.
const MaxUrgency = 7

// Request asks for a part of a chunk or of a fragment.
type Request struct {
	Chunk  vstack.ChunkID
	Piece  vstack.Piece // zero for the chunk
	Offset uint32
	Length uint32 // 0 is all from Offset on
	// Leaves wants the leaf table of the chunk, Fresh one that is made of the bytes now.
	Leaves, Fresh bool
	// Held wants no fragments joined: what is not here whole is not found.
	Held    bool
	Urgency uint8
}

// Append writes the request.
func (r Request) Append(b []byte) []byte {
	b = append(b, requestMagic...)
	var flags byte
	for bit, set := range map[byte]bool{flagLeaves: r.Leaves, flagFresh: r.Fresh, flagHeld: r.Held} {
		if set {
			flags |= bit
		}
	}
	b = append(b, flags, r.Piece.K, r.Piece.M, r.Piece.I, r.Urgency, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, r.Offset)
	b = binary.LittleEndian.AppendUint32(b, r.Length)
	return append(b, r.Chunk[:]...)
}

// ParseRequest reads what Append wrote; anything else is ErrInvalid.
func ParseRequest(b []byte) (Request, error) {
	if len(b) != RequestSize || string(b[:4]) != requestMagic {
		return Request{}, fmt.Errorf("read request of %d bytes: %w: want %d that begin with %s", len(b), vstack.ErrInvalid, RequestSize, requestMagic)
	}
	le := binary.LittleEndian
	r := Request{
		Piece:  vstack.Piece{Scheme: vstack.Scheme{K: b[5], M: b[6]}, I: b[7]},
		Offset: le.Uint32(b[12:]), Length: le.Uint32(b[16:]), Chunk: vstack.ChunkID(b[20:]),
		Leaves: b[4]&flagLeaves != 0, Fresh: b[4]&flagFresh != 0, Held: b[4]&flagHeld != 0, Urgency: b[8],
	}
	if b[4]&^flagsKnown != 0 || r.Urgency > MaxUrgency || b[9]|b[10]|b[11] != 0 {
		return Request{}, fmt.Errorf("read request: %w: flags %#x, urgency %d, reserved %x", vstack.ErrInvalid, b[4], r.Urgency, b[9:12])
	}
	if !r.Piece.IsChunk() {
		if err := r.Piece.Check(); err != nil {
			return Request{}, fmt.Errorf("read request: %w", err)
		}
	}
	if r.Offset > vstack.MaxChunkSize || r.Length > vstack.MaxChunkSize {
		return Request{}, fmt.Errorf("read request: %w: %d bytes at %d", vstack.ErrRangeInvalid, r.Length, r.Offset)
	}
	return r, nil
}

// Head begins an answer.
type Head struct {
	Status     uint16 // as in HTTP
	Body       uint32 // bytes behind the leaf table
	Size       uint32 // of the whole chunk or fragment; 0 with an error
	Leaves     uint32 // bytes of leaf table; 0 for none
	RetryAfter time.Duration
	Signals    wire.ServerTiming
}

// Append writes the head.
func (h Head) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, headMagic...)
	b = le.AppendUint16(b, h.Status)
	b = append(b, 0, 0)
	for _, v := range []uint32{h.Body, h.Size, h.Leaves, clamp(h.RetryAfter.Milliseconds())} {
		b = le.AppendUint32(b, v)
	}
	return AppendSignals(b, h.Signals)
}

// ParseHead reads what Append wrote.
func ParseHead(b []byte) (Head, error) {
	le := binary.LittleEndian
	if len(b) != HeadSize || string(b[:4]) != headMagic || le.Uint16(b[6:]) != 0 {
		return Head{}, fmt.Errorf("head of an answer, %d bytes: %w: want %d that begin with %s", len(b), vstack.ErrInvalid, HeadSize, headMagic)
	}
	signals, err := ParseSignals(b[24:])
	return Head{
		Status: le.Uint16(b[4:]), Body: le.Uint32(b[8:]), Size: le.Uint32(b[12:]), Leaves: le.Uint32(b[16:]),
		RetryAfter: time.Duration(le.Uint32(b[20:])) * time.Millisecond, Signals: signals,
	}, err
}

// AppendTail ends a whole answer.
func AppendTail(b []byte, t wire.ServerTiming) []byte {
	return AppendSignals(append(b, tailMagic...), t)
}

// ParseTail reads what AppendTail wrote.
func ParseTail(b []byte) (wire.ServerTiming, error) {
	if len(b) != TailSize || string(b[:4]) != tailMagic {
		return wire.ServerTiming{}, fmt.Errorf("tail of an answer, %d bytes: %w: want %d that begin with %s", len(b), vstack.ErrInvalid, TailSize, tailMagic)
	}
	return ParseSignals(b[4:])
}

// AppendSignals writes what a store tells of the path and of itself.
func AppendSignals(b []byte, t wire.ServerTiming) []byte {
	for _, v := range []int64{
		t.RTT.Microseconds(), int64(min(t.Cwnd, math.MaxUint32)), int64(min(t.Sent, math.MaxUint32)), int64(min(t.Lost, math.MaxUint32)),
		int64(t.Busy), t.Disk.Microseconds(), t.Decode.Microseconds(), 0,
	} {
		b = binary.LittleEndian.AppendUint32(b, clamp(v))
	}
	return b
}

// ParseSignals reads what AppendSignals wrote.
func ParseSignals(b []byte) (wire.ServerTiming, error) {
	if len(b) != SignalsSize {
		return wire.ServerTiming{}, fmt.Errorf("signals of %d bytes: %w: want %d", len(b), vstack.ErrInvalid, SignalsSize)
	}
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	micros := func(i int) time.Duration { return time.Duration(at(i)) * time.Microsecond }
	if at(7) != 0 {
		return wire.ServerTiming{}, fmt.Errorf("signals: %w: reserved %d", vstack.ErrInvalid, at(7))
	}
	return wire.ServerTiming{
		RTT: micros(0), Cwnd: uint64(at(1)), Sent: uint64(at(2)), Lost: uint64(at(3)), Busy: int(at(4)), Disk: micros(5), Decode: micros(6),
	}, nil
}

func clamp(v int64) uint32 { return uint32(min(max(v, 0), math.MaxUint32)) }
