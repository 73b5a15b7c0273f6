package raftnode

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

const originFile = "origin.json"

// origin is what a directory was made for; it never changes.
type origin struct {
	ID    string `json:"id"`
	Peers []Peer `json:"peers"`
}

// clusterHash names a peer list, in any order.
func clusterHash(peers []Peer) string {
	lines := make([]string, 0, len(peers))
	for _, p := range peers {
		lines = append(lines, p.ID+"="+p.Addr)
	}
	slices.Sort(lines)
	h := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(h[:8])
}

// claim reads or writes the directory's origin. A directory of another member or of
// another peer list is refused: two lists make two clusters that look like one.
func claim(cfg Config) (origin, error) {
	path := filepath.Join(cfg.Dir, originFile)
	want := origin{ID: cfg.ID, Peers: cfg.Peers}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return want, writeOrigin(path, want)
	}
	if err != nil {
		return want, fmt.Errorf("read raft origin: %w", err)
	}
	var have origin
	if err := json.Unmarshal(b, &have); err != nil {
		return want, fmt.Errorf("read raft origin %s: %w: %v", path, vstack.ErrCorrupt, err)
	}
	if have.ID != cfg.ID {
		return want, fmt.Errorf("raft directory %s: %w: it is of member %q, this is %q", cfg.Dir, vstack.ErrInvalid, have.ID, cfg.ID)
	}
	if clusterHash(have.Peers) != clusterHash(cfg.Peers) {
		return want, fmt.Errorf("raft directory %s: %w: it was made with peers %v, configured are %v", cfg.Dir, vstack.ErrInvalid, have.Peers, cfg.Peers)
	}
	return have, nil
}

func writeOrigin(path string, o origin) error {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("encode raft origin: %w", err)
	}
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write raft origin: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write raft origin %s: %w", tmp, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write raft origin: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("sync raft directory: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync raft directory: %w", err)
	}
	return nil
}

// bootstrap writes the first configuration into an empty directory, the same on every
// member, and does nothing where there is state.
func bootstrap(conf *raft.Config, logs raft.LogStore, stable raft.StableStore, snaps raft.SnapshotStore, trans raft.Transport, peers []Peer) error {
	var servers raft.Configuration
	for _, p := range peers {
		servers.Servers = append(servers.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr)})
	}
	slices.SortFunc(servers.Servers, func(a, b raft.Server) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if err := resumeBootstrap(logs, stable, snaps); err != nil {
		return err
	}
	err := raft.BootstrapCluster(conf, logs, stable, snaps, trans, servers)
	if errors.Is(err, raft.ErrCantBootstrap) {
		return nil // there is state, which knows better
	}
	if err != nil {
		return fmt.Errorf("bootstrap raft: %w", err)
	}
	return nil
}

// resumeBootstrap lets a bootstrap be repeated that was cut off between its two
// writes: term 1, and no log, vote or snapshot.
func resumeBootstrap(logs raft.LogStore, stable raft.StableStore, snaps raft.SnapshotStore) error {
	term, err := stable.GetUint64([]byte("CurrentTerm"))
	if err != nil || term != 1 {
		return nil // not found, or further on; a real error shows in BootstrapCluster
	}
	last, err := logs.LastIndex()
	if err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	list, err := snaps.List()
	if err != nil {
		return fmt.Errorf("list raft snapshots: %w", err)
	}
	if _, err := stable.GetUint64([]byte(keyVoteTerm)); err == nil || last != 0 || len(list) != 0 {
		return nil
	}
	return stable.SetUint64([]byte("CurrentTerm"), 0)
}
