package superblock

import (
	"github.com/vstack/vstack/datanode/superblock/finding"
	"github.com/vstack/vstack/datanode/superblock/format"
)

// Record is one entry of the log; format.Record says which fields count for which Kind.
type Record = format.Record

// Kind says what a record is about.
type Kind = format.Kind

// The kinds of format.
const (
	KindChunk   = format.KindChunk
	KindVote    = format.KindVote
	KindPromise = format.KindPromise
	KindMinimum = format.KindMinimum
	KindSeal    = format.KindSeal
	KindForget  = format.KindForget
	KindDrop    = format.KindDrop
	KindInstall = format.KindInstall
	KindAmnesia = format.KindAmnesia
	KindClaim   = format.KindClaim

	KindFragment     = format.KindFragment
	KindDropFragment = format.KindDropFragment
)

// Finding is one thing found wrong; package finding says of which kinds there are.
type Finding = finding.Finding

// The kinds of finding.
const (
	FindTornTail    = finding.TornTail
	FindLostRecords = finding.LostRecords
	FindChunk       = finding.Chunk
	FindRot         = finding.Rot
)
