package raftnode

import (
	"errors"
	"os"
	"testing"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(runChild(spec))
	}
	if spec := os.Getenv(fsyncEnv); spec != "" {
		os.Exit(runFsyncs(spec))
	}
	goleak.VerifyTestMain(m)
}

func TestErrorsSayWhatIsKnown(t *testing.T) {
	n := &Node{}
	for from, want := range map[error]error{
		raft.ErrNotLeader:          vstack.ErrNoLeader,
		raft.ErrLeadershipLost:     vstack.ErrOutcomeUnknown,
		raft.ErrRaftShutdown:       vstack.ErrOutcomeUnknown,
		raft.ErrAbortedByRestore:   vstack.ErrOutcomeUnknown,
		raft.ErrEnqueueTimeout:     vstack.ErrUnavailable,
		errors.New("no such disk"): vstack.ErrOutcomeUnknown,
	} {
		if got := n.explain(from); !errors.Is(got, want) {
			t.Errorf("%v: %v, want %v", from, got, want)
		}
	}
}
