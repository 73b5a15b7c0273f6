package wire

import (
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// StoreReport is one store's part of a heartbeat.
type StoreReport struct {
	ID       vstack.StoreID `json:"id"`
	Addr     string         `json:"addr"`
	Capacity int64          `json:"capacity"` // bytes the store may use
	Used     int64          `json:"used"`     // bytes on disk, space reserved ahead included
	Chunks   int64          `json:"chunks"`
	Missing  int64          `json:"missing"`    // chunks it should hold and does not yet
	Corrupt  int64          `json:"corrupt"`    // chunks found damaged and not healed yet
	LSN      vstack.LSN     `json:"lsn"`        // last durable record
	Applied  uint64         `json:"applied"`    // catalog index that the store follows
	ReadP99  float64        `json:"read_p99"`   // seconds, open to first byte, last minute
	Reads    int64          `json:"reads"`      // requests served since start
	ReadSize int64          `json:"read_bytes"` // bytes served since start
	Writes   int64          `json:"writes"`     // chunks accepted since start
	// Started names the store's process, see NextStart.
	Started time.Time `json:"started"`
	Full    bool      `json:"full"` // refuses writes for lack of space
	// Stored is what of Used records that count take; absent from programs that do not say.
	Stored int64 `json:"stored,omitzero"`
	// Free is what chunks may still take; absent from programs that do not say, and from a
	// full store.
	Free int64 `json:"free,omitzero"`
	// Cluster and Seen are what the store keeps of its past: the cluster that it belongs
	// to, zero for a new store, and the highest catalog index that it followed, as of
	// about a minute ago.
	Cluster vstack.ClusterID `json:"cluster,omitzero"`
	Seen    uint64           `json:"seen,omitzero"`
	// Mute is why the store does not vote; empty when it does.
	Mute string `json:"mute,omitempty"`
	// Amnesic lists the placement groups that the store acts for and is barred from
	// until their epoch changes; at most PlacementGroups.
	Amnesic []vstack.PG `json:"amnesic,omitempty"`
	// Claims are what the store says of the placement groups that it has anything of; at
	// most PlacementGroups.
	Claims []GroupClaim `json:"claims,omitempty"`
	// Lacking and Surveyed say the same to a leader from before there were claims: the
	// groups of which the store lacks anything, as of a catalog index through which it
	// knows all of its groups, 0 when it does not.
	Lacking  []vstack.PG `json:"lacking,omitempty"`
	Surveyed uint64      `json:"surveyed,omitzero"`
	// Browser is where browsers read from the store; absent where they do not. Never below
	// vstack.LevelPolicy.
	Browser *BrowserDoor `json:"browser,omitempty"`
}

// NextStart is what names a process of a store: when it began by its host's clock, or if that was
// set back, a nanosecond after the one before. By it leaders know which of two processes is the
// later, from vstack.LevelManifests on; programs from before go by their clocks alone.
func NextStart(last, now time.Time) time.Time {
	if !now.After(last) {
		return last.Add(time.Nanosecond)
	}
	return now
}

// Holds is how many bytes the store has stored, as far as it says.
func (r *StoreReport) Holds() int64 {
	if r.Stored == 0 && r.Chunks > 0 {
		return r.Used
	}
	return r.Stored
}

// BrowserDoor is how a web page reads from a store: by WebTransport, at a UDP port of its own,
// under a certificate that the page knows by its hash.
type BrowserDoor struct {
	Addr string `json:"addr"` // HOST:PORT
	// Hashes are the SHA-256, in base64, of the certificate that the store shows, and of the
	// one that it will show next, where there is one.
	Hashes []string `json:"hashes"`
}

// GroupClaim is what a store says of one placement group, as of its last survey.
type GroupClaim struct {
	PG    vstack.PG    `json:"pg"`
	Epoch vstack.Epoch `json:"epoch"` // that its view had in force
	// Complete is the highest catalog index through which the store lacks nothing of the
	// group: it has what it must of every video whose last class change or publish is at
	// or before it. What is damaged counts as lacking.
	Complete uint64 `json:"complete"`
	// Surveyed is the catalog index through which its view knew the group; 0 while the
	// view reads it.
	Surveyed uint64 `json:"surveyed"`
	// Readable is Complete for what keeps videos readable alone: the pieces that a video is on
	// its way to are left out. Absent from programs that do not say.
	Readable uint64 `json:"readable,omitzero"`
}

// GroupWhole is what all targets of a placement group said together.
type GroupWhole struct {
	PG    vstack.PG    `json:"pg"`
	Epoch vstack.Epoch `json:"epoch"` // in force
	// Whole is the lowest claim of the epoch's targets, each of them up and surveyed in
	// this epoch: what a store that has left holds of older videos is not needed any more.
	Whole uint64 `json:"whole"`
	// Surveyed is the highest index that one of them was surveyed at: a view that is not
	// complete through it may not know yet that a chunk is wanted again.
	Surveyed uint64 `json:"surveyed"`
}

// GroupShort says of a placement group of which a store lacks something what others have.
type GroupShort struct {
	PG    vstack.PG    `json:"pg"`
	Epoch vstack.Epoch `json:"epoch"` // in force
	// Holders are the Readable of the epoch's targets that are up and have said it.
	Holders []uint64 `json:"holders"`
	// Leavers are stores that were targets before, and still have what they had then.
	Leavers int `json:"leavers,omitzero"`
}

// Heartbeat is the body of POST /v1/heartbeats: one host's datanode, every second.
type Heartbeat struct {
	Host    vstack.HostID `json:"host"`
	Version string        `json:"version"`
	// Seq counts the heartbeats of a process from 1: of two that cross on their way the
	// later one holds. 0 from a datanode that does not count.
	Seq    uint64        `json:"seq,omitzero"`
	Stores []StoreReport `json:"stores"`
	// Level is the newest feature level that the program knows; absent for
	// vstack.LevelFirst.
	Level vstack.Level `json:"level,omitzero"`
}

// HeartbeatReply answers a heartbeat. Echo is the highest LSN that the catalog ever
// saw of each store: a store that recovers below its echo has forgotten votes.
type HeartbeatReply struct {
	Index uint64 `json:"index"` // the catalog's, to catch up with
	// Level is the feature level that the catalog is at; absent for vstack.LevelFirst.
	Level vstack.Level `json:"level,omitzero"`
	// Refused names stores that are not of this catalog, or whose program is older than
	// its level, and why: it neither registers them nor answers for them.
	Refused map[vstack.StoreID]string `json:"refused,omitempty"`
	// Cluster is the catalog's identity, zero until the first placement.
	Cluster vstack.ClusterID `json:"cluster,omitzero"`
	// Restored is when the catalog came from a backup: for some days stores keep what it
	// does not name. Zero if it never did.
	Restored time.Time                     `json:"restored,omitzero"`
	Echo     map[vstack.StoreID]vstack.LSN `json:"echo"`
	// ClassFloor is the least that counts as a video's class index: the index at which the
	// cluster began to keep it. 0 while it does not: then nothing goes but what no living
	// video refers to.
	ClassFloor uint64 `json:"class_floor,omitzero"`
	// Whole is the answer to the claims, for the groups that are whole through any index.
	Whole []GroupWhole `json:"whole,omitempty"`
	// Short are the groups of which the claims say that a store lacks something: what has the
	// fewest holders is brought first.
	Short []GroupShort `json:"short,omitempty"`
	// Paused says that videos' moves between classes stand still. Nothing else does.
	Paused bool `json:"paused,omitzero"`
}
