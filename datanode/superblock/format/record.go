package format

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// Kind says what a record is about.
type Kind uint8

const (
	// KindChunk is a chunk's bytes; with Voted also the vote for them.
	KindChunk Kind = 1 + iota
	// KindVote is a vote for bytes that are already here.
	KindVote
	// KindPromise is the ballot below which a slot takes no accept any more.
	KindPromise
	// KindMinimum is KindPromise for every slot of an upload (the ranged prepare).
	KindMinimum
	// KindSeal freezes a placement group's epoch.
	KindSeal
	// KindForget drops what is kept for a slot (Slot set), or for an upload and all its
	// slots (Slot zero, Upload set). All slots of one video belong to one upload.
	KindForget
	// KindDrop removes the bytes of chunk Value.Chunk; votes for it stay.
	KindDrop
	// KindInstall stages a vote for an epoch that does not count yet; without a Slot it
	// says that all votes of the attempt, which is Ballot.Round, came before it.
	KindInstall
	// KindAmnesia bars a placement group at an epoch and below: votes may be lost.
	KindAmnesia
	// KindClaim says that this store's host began to drive an attempt, which is
	// Ballot.Round, at an epoch of a placement group. Nobody begins one twice.
	KindClaim
	// KindFragment is a fragment's bytes, Piece of chunk Value; from files of V3 on. Slot
	// and PG say for whom it came, which is not kept in step with what wants it later.
	KindFragment
	// KindDropFragment removes the bytes of fragment Piece of chunk Value.Chunk.
	KindDropFragment

	kindEnd
)

var kindNames = [...]string{"", "chunk", "vote", "promise", "minimum", "seal", "forget", "drop", "install", "amnesia", "claim", "fragment", "drop fragment"}

// HasData reports whether records of the kind have data.
func (k Kind) HasData() bool { return k == KindChunk || k == KindFragment }

func (k Kind) String() string {
	if k == 0 || k >= kindEnd {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// MaxBatch bounds the records of one Append: the largest page of staged votes, its mark
// and room to spare.
const MaxBatch = 8192

// Record is one entry of the log. Which fields count depends on Kind:
//
//	KindChunk    Value, Data; if Voted also Slot, PG, Epoch, Upload, Ballot
//	KindVote     Value, Slot, PG, Epoch, Upload, Ballot
//	KindPromise  Slot, PG, Epoch, Upload, Ballot
//	KindMinimum  Upload, Ballot (PG and Epoch are kept as given)
//	KindSeal     PG, Epoch
//	KindForget   Slot, or Upload
//	KindDrop     Value.Chunk
//	KindInstall  PG, Epoch, Ballot.Round; of a staged vote also Slot, Upload, Value
//	KindAmnesia  PG, Epoch
//	KindClaim    PG, Epoch, Ballot.Round
//	KindFragment Value, Piece, Data, and as a note Slot, PG
//	KindDropFragment  Value.Chunk, Piece
//
// Files of V1 keep neither Leaves nor Piece, those before V4 no KeyGeneration.
type Record struct {
	Kind   Kind
	Slot   vstack.Slot
	PG     vstack.PG
	Epoch  vstack.Epoch
	Upload vstack.UploadID
	Ballot vstack.Ballot
	Value  vstack.Value
	Voted  bool
	Data   []byte
	// Leaves is the whole chunk's leaf table, nil for none. It is as it came: nobody has
	// checked it against Data unless whoever gave it has.
	Leaves vstack.LeafTable
	Piece  vstack.Piece
	// KeyGeneration names the key that Data is encrypted with; 0 for none.
	KeyGeneration uint32
	// Sealing is how, where Data and Leaves are ciphertext.
	Sealing *Sealing
}

// Validate refuses what could not be read back as it was meant.
func (r *Record) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%s record: %w: %s", r.Kind, vstack.ErrInvalid, fmt.Sprintf(format, args...))
	}
	if r.Kind == 0 || r.Kind >= kindEnd {
		return bad("unknown kind")
	}
	if !r.Kind.HasData() && (len(r.Data) != 0 || r.Leaves != nil) {
		return bad("%d bytes of data, want none", len(r.Data))
	}
	if r.Kind == KindChunk {
		switch {
		case len(r.Data) == 0 || len(r.Data) > vstack.MaxChunkSize:
			return bad("%d bytes of data, want 1 to %d", len(r.Data), vstack.MaxChunkSize)
		case int(r.Value.Size) != len(r.Data):
			return bad("value says %d bytes, data has %d", r.Value.Size, len(r.Data))
		}
	}
	if err := r.checkPiece(); err != nil {
		return bad("%v", err)
	}
	if r.Leaves != nil {
		if err := r.Leaves.Fits(r.Value.Size); err != nil {
			return bad("%v", err)
		}
	}
	hasValue := r.Kind == KindChunk || r.Kind == KindFragment || r.Kind == KindDropFragment || r.Kind == KindVote || r.Kind == KindDrop || r.Stages()
	if hasValue && r.Value.Chunk.IsZero() {
		return bad("no chunk id")
	}
	if (r.Votes() || r.Kind == KindPromise) && r.Slot.Video.IsZero() {
		return bad("no slot")
	}
	if r.Votes() && r.Ballot.IsZero() {
		return bad("no ballot")
	}
	if (r.Kind == KindMinimum || r.Stages()) && r.Upload.IsZero() {
		return bad("no upload")
	}
	if (r.Kind == KindInstall || r.Kind == KindClaim) && (r.Epoch == 0 || r.Ballot.Round == 0) {
		return bad("no epoch or no attempt")
	}
	if r.Kind == KindForget && r.Slot.Video.IsZero() && r.Upload.IsZero() {
		return bad("neither slot nor upload")
	}
	return nil
}

// checkPiece wants a piece of a fragment's record, with data of its size, and none of others.
func (r *Record) checkPiece() error {
	switch fragment := r.Kind == KindFragment; {
	case !fragment && r.Kind != KindDropFragment:
		if !r.Piece.IsChunk() {
			return fmt.Errorf("piece %s", r.Piece)
		}
	case r.Piece.Check() != nil:
		return r.Piece.Check()
	case fragment && (r.Value.Size == 0 || r.Value.Size > vstack.MaxChunkSize || len(r.Data) != int(r.Piece.Size(r.Value.Size))):
		return fmt.Errorf("%d bytes of data for piece %s of %d", len(r.Data), r.Piece, r.Value.Size)
	}
	return nil
}

// Votes reports whether the record carries a vote.
func (r *Record) Votes() bool { return r.Kind == KindVote || (r.Kind == KindChunk && r.Voted) }

// Stages reports whether the record is a staged vote.
func (r *Record) Stages() bool { return r.Kind == KindInstall && !r.Slot.Video.IsZero() }
