package operate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// joinTimeout is as long as the leader lets a new member catch up.
const joinTimeout = 11 * time.Minute

// healPatience is how long `raft status --wait` waits.
const healPatience = 2 * time.Minute

func Raft(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "raft", Short: "The metadata cluster"}
	var to string
	transfer := &cobra.Command{
		Use: "transfer", Short: "Hand leadership to another member", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			st, err := c.TransferLeader(ctx, to)
			if err != nil {
				return err
			}
			return p.Print(st, func() console.Table { return raftTable(st) })
		}),
	}
	transfer.Flags().StringVar(&to, "to", "", "member to hand it to (default: the one that is furthest)")
	cmd.AddCommand(&cobra.Command{
		Use: "peers", Short: "Members, as the one that answers sees them", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			st, err := c.Meta.RaftStatus(ctx)
			if err != nil {
				return err
			}
			return p.Print(wire.List[wire.RaftPeer]{Items: st.Peers}, func() console.Table { return peerTable(st.Peers) })
		}),
	}, newRaftStatus(a), transfer, newRaftAdd(a), newRaftRemove(a), newRaftLevel(a), newRaftSnapshot(a))
	return cmd
}

func newRaftStatus(a *cli.App) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "status", Short: "Leader, term, how far everyone is and what may fail", Args: cobra.NoArgs,
		Long: "Asks every member. Exit code 6: there is no leader, a member is missing, or placement groups take no writes; 1: two catalogs differ.",
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			ask, own := c.Meta.RaftStatus, cli.CallTimeout
			if wait {
				ask, own = c.AllFollow, healPatience
			}
			ctx, cancel := a.Deadline(ctx, own)
			defer cancel()
			st, err := ask(ctx)
			if err != nil {
				return err
			}
			if err := p.Print(st, func() console.Table { return raftTable(st) }); err != nil {
				return err
			}
			switch {
			case st.Diverged:
				return fmt.Errorf("two members have different catalogs at one index: stop them, keep their directories, and report it")
			case st.Leader == "":
				return fmt.Errorf("metadata cluster has no leader: %w", console.ErrDegraded)
			}
			if away := awayMembers(st.Peers); away != "" {
				return fmt.Errorf("%w: no part in it has %s", console.ErrDegraded, away)
			}
			return heldError(heldOf(st.Peers))
		}),
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "until every member answers and follows the leader, at most 2 minutes or --timeout")
	return cmd
}

// awayMembers are the members that do not answer as such.
func awayMembers(peers []wire.RaftPeer) string {
	var away []string
	for _, p := range peers {
		if !p.Reached || p.Standing != "member" {
			away = append(away, p.ID)
		}
	}
	return strings.Join(away, ", ")
}

// heldOf is how many groups the leader says are held.
func heldOf(peers []wire.RaftPeer) int {
	for _, p := range peers {
		if p.Leader {
			return p.Held
		}
	}
	return 0
}

func newRaftAdd(a *cli.App) *cobra.Command {
	var raft, api string
	cmd := &cobra.Command{
		Use: "add HOST --raft HOST:PORT --api HOST:PORT", Short: "Add a member, and wait until it votes", Args: cobra.ExactArgs(1),
		Long: `Adds a host as a member of the metadata cluster. Its process is waited for, and says in its log and at /readyz?verbose, with this
command, that it is to be added: it runs with meta.join, or with a directory that was emptied. It gets its vote once it has caught up;
the leader gives it up after 10 minutes. --timeout bounds all of it (default: 11 minutes).`,
		RunE: a.WithCluster(joinTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			id, err := vstack.ParseHostID(args[0])
			if err != nil {
				return err
			}
			if raft == "" || api == "" {
				return fmt.Errorf("add member %s: %w: --raft and --api are needed", id, console.ErrUsage)
			}
			st, err := c.JoinMember(ctx, id, raft, api, func(s string) { p.Say("%s", s) })
			if err != nil {
				return err
			}
			return p.Print(st, func() console.Table { return raftTable(st) })
		}),
	}
	cmd.Flags().StringVar(&raft, "raft", "", "where its Raft listens, as the others dial it")
	cmd.Flags().StringVar(&api, "api", "", "where its API listens")
	return cmd
}

func newRaftRemove(a *cli.App) *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use: "remove HOST --yes", Short: "Remove a member; a leader hands over first", Args: cobra.ExactArgs(1),
		Long: `Removes a member for good: its directory is of no use any more, and the host comes back as a new member. Refused for the
last one, and, without --force, where the members that are left and answer would be no majority.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			id, err := vstack.ParseHostID(args[0])
			if err != nil {
				return err
			}
			if err := cli.Confirm(yes, fmt.Sprintf("remove member %s for good", id)); err != nil {
				return err
			}
			st, err := c.LeaveMember(ctx, id, force)
			if err != nil {
				return err
			}
			return p.Print(st, func() console.Table { return raftTable(st) })
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	cmd.Flags().BoolVar(&force, "force", false, "even if those that are left and answer are no majority")
	return cmd
}

func raftTable(st wire.RaftStatus) console.Table {
	t := peerTable(st.Peers)
	leader := st.Leader
	if leader == "" {
		leader = "none"
	}
	for _, p := range st.Peers {
		if p.Standing != "member" && p.Detail != "" {
			t.Foot += fmt.Sprintf("%s: %s\n", p.ID, p.Detail)
		}
	}
	if n := heldOf(st.Peers); n > 0 {
		t.Foot += lacking(n) + " and take no writes: vstack group held\n"
	}
	t.Foot += fmt.Sprintf("cluster %s · feature level %d · leader %s · term %d · applied %d · %s may fail now (asked %s)",
		st.Cluster, st.Level.OrFirst(), leader, st.Term, st.Applied, console.Count(st.CanFail, "more member"), st.Node)
	return t
}

func peerTable(peers []wire.RaftPeer) console.Table {
	t := console.Table{
		Head:  []string{"id", "state", "vote", "raft", "api", "term", "last", "commit", "applied", "behind", "contact", "disk", "disk slow", "checksum"},
		Right: []int{5, 6, 7, 8, 9, 10, 11, 12},
		Yield: []string{"checksum", "commit", "last", "raft", "disk slow", "disk", "contact", "term", "applied", "api"},
	}
	for _, p := range peers {
		if !p.Reached {
			state := "unreachable"
			if p.Standing != "" {
				state = p.Standing
			}
			t.Rows = append(t.Rows, []any{p.ID, state, p.Voter, p.Raft, p.API, "-", "-", "-", "-", "-", "-", "-", "-", "-"})
			continue
		}
		state := p.State
		if p.Standing != "member" {
			state = p.Standing
		}
		t.Rows = append(t.Rows, []any{p.ID, state, p.Voter, p.Raft, p.API, p.Term, p.LastIndex, p.Commit, p.Applied,
			p.Behind, console.Seconds(p.LastContact), console.Seconds(p.DiskWrite), fmt.Sprintf("%.0f %%", 100*p.DiskSlow), fmt.Sprintf("%.12s", p.Checksum)})
	}
	return t
}
