package superblock

import "github.com/vstack/vstack/datanode/superblock/format"

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
)
