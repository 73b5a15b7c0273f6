package raftnode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// configurationOf is the first configuration: all founders vote.
func configurationOf(founders []Founder) raft.Configuration {
	var c raft.Configuration
	for _, f := range founders {
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: serverID(f.ID, f.Instance), Address: serverAddress(f.Raft, f.API)})
	}
	slices.SortFunc(c.Servers, func(a, b raft.Server) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return c
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
	if _, err := stable.GetUint64([]byte(disk.KeyVoteTerm)); err == nil || last != 0 || len(list) != 0 {
		return nil
	}
	return stable.SetUint64([]byte("CurrentTerm"), 0)
}
