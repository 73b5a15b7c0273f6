package raftnode

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

const originFile = "origin.json"

// origin is whose the directory is. Instance is drawn when the directory is first used
// and is part of the member's Raft id, so that a directory that was emptied comes back
// as somebody else, who has promised nothing.
type origin struct {
	ID       string `json:"id"`
	Instance string `json:"instance"`
	Raft     string `json:"raft"`
	API      string `json:"api,omitempty"`
	// Genesis names the cluster, once the member is of one; it never changes then.
	Genesis string `json:"genesis,omitempty"`
	// Founders are the members that the cluster was made from; empty on one that joined.
	Founders []Founder `json:"founders,omitempty"`
	// Started is written before the first message of Raft is sent or answered: from
	// then on a directory without Raft's files has forgotten something.
	Started bool `json:"started,omitempty"`
}

// Founder is a member of the first configuration.
type Founder struct {
	ID       string `json:"id"`
	Instance string `json:"instance"`
	Raft     string `json:"raft"`
	API      string `json:"api,omitempty"`
}

// genesisOf names a cluster by its founders. Instances are random, so two clusters
// never have one name, even if they were made from one list.
func genesisOf(founders []Founder) string {
	lines := make([]string, 0, len(founders))
	for _, f := range founders {
		lines = append(lines, f.ID+"."+f.Instance+"="+f.Raft+"|"+f.API)
	}
	return shortHash(lines)
}

// listHash names a configured list of members, in any order.
func listHash(peers []Peer) string {
	lines := make([]string, 0, len(peers))
	for _, p := range peers {
		lines = append(lines, p.ID+"="+p.Addr+"|"+p.API)
	}
	return shortHash(lines)
}

func shortHash(lines []string) string {
	slices.Sort(lines)
	h := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(h[:8])
}

// newInstance draws 64 random bits.
func newInstance() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// claim reads the directory's origin, or makes one where Raft has no state. A directory
// of another member or address is refused. One whose Raft state is gone has forgotten
// what it promised: it becomes a new instance.
func claim(cfg Config, hasState bool) (origin, error) {
	path := filepath.Join(cfg.Dir, originFile)
	self := cfg.self()
	fresh := origin{ID: cfg.ID, Instance: newInstance(), Raft: self.Addr, API: self.API}
	b, err := disk.ReadOrigin(path, cfg.Key)
	if errors.Is(err, fs.ErrNotExist) {
		if hasState {
			return fresh, fmt.Errorf("raft directory %s: %w: it has a log and no %s, so nobody knows whose votes it holds; empty it, and the member comes back as a new one",
				cfg.Dir, vstack.ErrCorrupt, originFile)
		}
		return fresh, writeOrigin(cfg, fresh)
	}
	if err != nil {
		return fresh, fmt.Errorf("read raft origin: %w", err)
	}
	var have origin
	if err := json.Unmarshal(b, &have); err != nil {
		return fresh, fmt.Errorf("read raft origin %s: %w: %v", path, vstack.ErrCorrupt, err)
	}
	switch {
	case have.Instance == "":
		return fresh, fmt.Errorf("raft directory %s: %w: it was made by a version without member instances", cfg.Dir, vstack.ErrInvalid)
	case have.ID != cfg.ID:
		return fresh, fmt.Errorf("raft directory %s: %w: it is of member %q, this is %q", cfg.Dir, vstack.ErrInvalid, have.ID, cfg.ID)
	case have.Raft != self.Addr || have.API != self.API:
		return fresh, fmt.Errorf("raft directory %s: %w: its member is known at %s and %s, configured are %s and %s; a member that moves is removed and added anew",
			cfg.Dir, vstack.ErrInvalid, have.Raft, have.API, self.Addr, self.API)
	case have.Started && !hasState:
		cfg.Logger.Warn("raft state is gone: the member is a new one", "dir", cfg.Dir, "was", have.Instance, "is", fresh.Instance)
		return fresh, writeOrigin(cfg, fresh)
	}
	return have, nil
}

func writeOrigin(cfg Config, o origin) error {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("encode raft origin: %w", err)
	}
	return disk.WriteOrigin(filepath.Join(cfg.Dir, originFile), b, cfg.Key)
}
