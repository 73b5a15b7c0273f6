package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

func newRaft(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "raft", Short: "The metadata cluster"}
	var to string
	transfer := &cobra.Command{
		Use: "transfer", Short: "Hand leadership to another member", Args: cobra.NoArgs,
		RunE: a.withCluster(callTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			if err := c.Meta.TransferLeader(ctx, to); err != nil {
				return console.Hint(err, "vstack raft peers")
			}
			st, err := c.Meta.RaftStatus(ctx)
			if err != nil {
				return err
			}
			return p.Print(st, func() console.Table { return raftTable(st) })
		}),
	}
	transfer.Flags().StringVar(&to, "to", "", "member to hand it to (default: the one that is furthest)")
	cmd.AddCommand(&cobra.Command{
		Use: "peers", Short: "Members, as the one that answers sees them", Args: cobra.NoArgs,
		RunE: a.withCluster(callTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			st, err := c.Meta.RaftStatus(ctx)
			if err != nil {
				return err
			}
			return p.Print(wire.List[wire.RaftPeer]{Items: st.Peers}, func() console.Table { return peerTable(st.Peers) })
		}),
	}, &cobra.Command{
		Use: "status", Short: "Leader, term, how far everyone is and what may fail", Args: cobra.NoArgs,
		RunE: a.withCluster(callTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			st, err := c.Meta.RaftStatus(ctx)
			if err != nil {
				return err
			}
			if err := p.Print(st, func() console.Table { return raftTable(st) }); err != nil {
				return err
			}
			if st.Leader == "" {
				return fmt.Errorf("metadata cluster has no leader: %w", console.ErrDegraded)
			}
			return nil
		}),
	}, transfer)
	return cmd
}

func raftTable(st wire.RaftStatus) console.Table {
	t := peerTable(st.Peers)
	leader := st.Leader
	if leader == "" {
		leader = "none"
	}
	t.Foot = fmt.Sprintf("leader %s · term %d · applied %d · catalog checksum %s · %s may fail (asked %s)",
		leader, st.Term, st.Applied, st.Checksum, console.Count(st.CanFail, "more member"), st.Node)
	return t
}

func peerTable(peers []wire.RaftPeer) console.Table {
	t := console.Table{
		Head:  []string{"id", "state", "voter", "raft", "api", "term", "last", "commit", "applied", "behind", "contact"},
		Right: []int{5, 6, 7, 8, 9, 10},
	}
	var last uint64
	for _, p := range peers {
		last = max(last, p.LastIndex)
	}
	for _, p := range peers {
		if !p.Reached {
			t.Rows = append(t.Rows, []any{p.ID, "unreachable", p.Voter, p.Raft, p.API, "-", "-", "-", "-", "-", "-"})
			continue
		}
		t.Rows = append(t.Rows, []any{p.ID, p.State, p.Voter, p.Raft, p.API, p.Term, p.LastIndex, p.Commit, p.Applied,
			last - p.Applied, fmt.Sprintf("%.0f ms", 1000*p.LastContact)})
	}
	return t
}
