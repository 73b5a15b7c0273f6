package vstack

import "time"

// MaxEvents is how many events a catalog keeps: the last ones.
const MaxEvents = 4096

// EventKind says what happened. Kinds are never renamed.
type EventKind string

const (
	EventPublished EventKind = "published" // a video
	EventAborted   EventKind = "aborted"   // an upload
	EventDeleted   EventKind = "deleted"   // a video
	EventRenamed   EventKind = "renamed"   // a video
	EventPinned    EventKind = "pinned"    // a video's storage policy was set
	EventClass     EventKind = "class"     // a video takes a step from one class to another
	EventJoined    EventKind = "joined"    // a store registered for the first time
	EventUp        EventKind = "up"        // a store
	EventDown      EventKind = "down"      // a store
	EventLost      EventKind = "lost"      // a store is taken for lost: its roles move
	EventReplaced  EventKind = "replaced"  // an order to move a store's roles
	EventOrdered   EventKind = "ordered"   // any other order for a store
	EventEmptied   EventKind = "emptied"   // a store that was to leave has no role any more
	EventBalance   EventKind = "balance"   // roles are shared out, or no longer
	EventPolicy    EventKind = "policy"    // of redundancy, or its pause
	EventPlacement EventKind = "placement" // was assigned
	EventLevel     EventKind = "level"     // the feature level was raised
	EventAccepted  EventKind = "accepted"  // what is lost was given up, by an order
	EventRevoked   EventKind = "revoked"   // certificates
	EventRestored  EventKind = "restored"  // certificates that were revoked
	EventAccess    EventKind = "access"    // who may watch a video, or a key of playback tokens
)

// Event is something that happened to the cluster, as the catalog remembers it. From
// LevelPolicy on.
type Event struct {
	Index uint64    `json:"index"`         // Raft index of the entry
	Part  int       `json:"part,omitzero"` // of several events of one entry
	Time  time.Time `json:"time"`          // by the leader's clock
	Kind  EventKind `json:"kind"`
	// Of is what it happened to: "video ID", "store ID", "upload ID"; empty for the cluster.
	Of     string `json:"of,omitempty"`
	Detail string `json:"detail,omitempty"`
	// By is who asked for it: the role and the name of a certificate; empty for the cluster
	// itself.
	By string `json:"by,omitempty"`
}
