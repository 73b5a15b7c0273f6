package raftnode

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// fsyncEnv makes a child that commits to a log, width entries at a time.
const fsyncEnv = "VSTACK_TEST_FSYNC_CHILD"

const fsyncEntries = 64

// runFsyncs commits entries as Raft's leader does: what waits goes into one write.
func runFsyncs(spec string) int {
	var dir string
	var width int
	if _, err := fmt.Sscanf(spec, "%d %s", &width, &dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bolt, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db"),
		BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	conf := raft.DefaultConfig()
	conf.LocalID, conf.BatchApplyCh, conf.MaxAppendEntries = "h1", true, maxAppend
	conf.Logger = newLogger(slog.New(slog.DiscardHandler))
	addr, trans := raft.NewInmemTransport("h1")
	snaps := raft.NewInmemSnapshotStore()
	alone := raft.Configuration{Servers: []raft.Server{{ID: "h1", Address: addr}}}
	err = raft.BootstrapCluster(conf, bolt, bolt, snaps, trans, alone)
	var r *raft.Raft
	if err == nil {
		r, err = raft.NewRaft(conf, &counter{}, bolt, bolt, snaps, trans)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for !<-r.LeaderCh() {
	}
	if err := r.Barrier(0).Error(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mark(dir)
	errs := make(chan error, fsyncEntries)
	var wg sync.WaitGroup
	for range width {
		wg.Go(func() {
			for range fsyncEntries / width {
				errs <- r.Apply([]byte("x"), 0).Error()
			}
		})
	}
	wg.Wait()
	mark(dir)
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// mark leaves a trace of the moment in the trace of system calls.
func mark(dir string) { _ = syscall.Unlink(filepath.Join(dir, "mark")) }

// TestAnEntryAloneIsTwoFsyncsAndManyShareThem counts the fdatasyncs of a log by strace:
// a transaction of bbolt is two, and entries that wait for the disk go into one.
func TestAnEntryAloneIsTwoFsyncsAndManyShareThem(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("SKIPPED: no strace in PATH")
	}
	count := func(width int) float64 {
		dir := t.TempDir()
		out := filepath.Join(dir, "trace")
		cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-e", "trace=fdatasync,fsync,unlinkat", "-o", out, os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", fsyncEnv, width, dir))
		if msg, err := cmd.CombinedOutput(); err != nil {
			if strings.Contains(string(msg), "ptrace") {
				t.Skipf("SKIPPED: strace may not trace here: %s", msg)
			}
			t.Fatalf("%v: %s", err, msg)
		}
		trace, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		syncs, marks := 0, 0
		for line := range bytes.Lines(trace) {
			switch {
			case bytes.Contains(line, []byte("/mark")):
				marks++
			case marks == 1 && bytes.Contains(line, []byte("sync(")):
				syncs++
			}
		}
		if marks < 2 {
			t.Fatalf("%d marks in the trace:\n%s", marks, trace)
		}
		return float64(syncs) / fsyncEntries
	}
	alone, shared := count(1), count(32)
	t.Logf("fdatasyncs an entry: %.2f one after the other, %.2f with 32 at a time", alone, shared)
	if alone < 1.9 || alone > 2.2 {
		t.Errorf("%.2f an entry one after the other, want 2", alone)
	}
	if shared > 0.8 {
		t.Errorf("%.2f an entry with 32 at a time: they do not share", shared)
	}
}
