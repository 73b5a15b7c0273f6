package abuse

import (
	"context"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Aim is the listener of a host that an attack is aimed at.
type Aim string

const (
	AtStore     Aim = "store"
	AtMetastore Aim = "metastore"
	AtUploader  Aim = "uploader"
	AtRaft      Aim = "raft"
)

// Attack is one way to keep a host busy.
type Attack struct {
	Name string
	Doc  string // at strength 1
	Aim  Aim

	// run attacks until ctx ends. It counts what it did.
	run func(ctx context.Context, c *crew) error
}

// Attacks lists them.
func Attacks() []Attack {
	return []Attack{
		{"closed-h2", "8 connections of HTTP/2 whose window is closed ask for 128 chunks each", AtStore, closedH2},
		{"closed-h3", "8 connections of HTTP/3 whose windows are all but closed ask for 128 chunks each", AtStore, closedH3},
		{"half-h1", "64 connections send a header byte by byte and never end it", AtStore, halfH1},
		{"half-h2", "64 connections of HTTP/2 begin a header and never end it", AtStore, halfH2},
		{"half-h3", "8 connections of HTTP/3 with 100 headers each that never end, and a good request now and then", AtStore, halfH3},
		{"initials", "first packets of QUIC from 250 addresses that never answer, 2,000 a second", AtStore, initials},
		{"flood", "100 requests at a time for placements and manifests, read to the end and asked again", AtMetastore, flood},
		{"closed-answers", "4 connections of HTTP/2 whose window is closed ask for 100 placements and manifests each", AtMetastore, closedAnswers},
		{"stuck-feeds", "4 connections of HTTP/2 whose window is closed hold 100 feeds each", AtMetastore, stuckFeeds},
		{"trickle", "32 uploads whose bodies come byte by byte", AtUploader, trickle},
		{"raft-silent", "64 connections to the Raft port that say nothing", AtRaft, raftSilent},
		{"raft-garbage", "16 connections after each other without end to the Raft port, 4 KiB of noise each", AtRaft, raftGarbage},
	}
}

// choose is the attacks of some names, or all for none.
func choose(names []string) ([]Attack, error) {
	all := Attacks()
	if len(names) == 0 {
		return all, nil
	}
	var out []Attack
	for _, name := range names {
		i := slices.IndexFunc(all, func(a Attack) bool { return a.Name == name })
		if i < 0 {
			var known []string
			for _, a := range all {
				known = append(known, a.Name)
			}
			return nil, fmt.Errorf("attack %.40q: %w: there are %v", name, vstack.ErrNotFound, known)
		}
		out = append(out, all[i])
	}
	return out, nil
}
