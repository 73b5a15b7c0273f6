package vstack

// Level is a cluster's feature level: what its log, its disks and its messages may say.
// Levels are cumulative, and only an operator raises the cluster's. A program knows every
// level up to NewestLevel, and writes nothing that the cluster's level does not have: a
// host of the level before could not read it. Silence about a level is LevelFirst.
type Level uint32

const (
	// LevelFirst is the level of clusters from before there were levels (cc9200c).
	LevelFirst Level = 1
	// LevelFormats adds manifests of version 2; records of version 2, which keep leaf
	// tables, and with them version 2 of STORE; the number of placement groups, targets a
	// group and fragment numbers in the placement map; class indices of videos, without
	// which stores drop nothing but what is deleted; and uploads without a source hash.
	// Batches of views name the run of the member that counted them, and their number.
	// Texts of refusals no longer count in the catalog's checksum.
	LevelFormats Level = 2
	// LevelFragments adds fragments of chunks: their records, and with them version 3 of
	// STORE, and the classes of videos that ask for them.
	LevelFragments Level = 3
	// LevelPolicy adds what people decide about a cluster that runs: its policy of redundancy
	// and the decay of views, orders for stores and hosts, who may do what, and the record of
	// what was done.
	LevelPolicy Level = 4
	// LevelAccess adds who may watch a video, and the keys of playback tokens.
	LevelAccess Level = 5
	// LevelKeys adds API keys of programs.
	LevelKeys Level = 6
	// LevelManifests keeps manifests apart from a member's snapshots: these name them, and the
	// database beside the snapshots has them. A store's processes have starts in their order.
	// Groups are widened for a scheme of more fragments than Targets.
	LevelManifests Level = 7
	// NewestLevel is the highest level that this program knows. A fresh cluster starts at it.
	NewestLevel = LevelManifests
)

// OrFirst is the level, and LevelFirst where none was said.
func (l Level) OrFirst() Level { return max(l, LevelFirst) }
