package operate

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/metastore/backup"
)

func newRaftSnapshot(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot", Short: "Backups of the catalog"}
	cmd.AddCommand(newSnapshotSave(a), newSnapshotInspect(a), newSnapshotRestore(a), &cobra.Command{
		Use: "check", Short: "Ask every store for the chunks that the catalog names", Args: cobra.NoArgs,
		Long: "Exit code 0: every chunk has its copies; 6: some have too few, or a store does not answer; 8: no store answered; 1: some are held by no store.",
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			return checkHeld(ctx, a, c, p)
		}),
	})
	return cmd
}

func newSnapshotSave(a *cli.App) *cobra.Command {
	var member, recipients string
	var keep int
	cmd := &cobra.Command{
		Use: "save FILE|DIR", Short: "Save the catalog to a new file", Args: cobra.ExactArgs(1),
		Long: `Saves the leader's catalog, with every write that was acknowledged before; --from another member, whatever that one has.
Chunks are not in it: stores keep them.

With --keep N the argument is a directory: the backup is named for the time, read back and held to its checksums, and only then the
oldest of those saved so are removed, until N are left. That is what a timer runs: deploy/systemd/vstack-backup.timer.

With --recipients the file is encrypted by age: whoever has an identity of one of them opens it, anywhere, with --identity or with
"age --decrypt"; nobody else does.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			var to []age.Recipient
			if recipients != "" {
				var err error
				if to, err = backup.Recipients(recipients); err != nil {
					return err
				}
			}
			if keep > 0 {
				info, path, removed, err := backup.Rotate(args[0], keep, time.Now(), to, func(w io.Writer) error { return c.Meta.SaveSnapshot(ctx, w, member) })
				if err != nil {
					return console.Hint(err, "vstack raft status; ls -ld %s", args[0])
				}
				p.Say("saved %s; older ones removed: %d", path, len(removed))
				return p.Print(info, func() console.Table { return backupTable(info) })
			}
			info, err := backup.SaveFile(args[0], to, func(w io.Writer) error { return c.Meta.SaveSnapshot(ctx, w, member) })
			if err != nil {
				return console.Hint(err, "vstack raft status")
			}
			return p.Print(info, func() console.Table { return backupTable(info) })
		}),
	}
	cmd.Flags().IntVar(&keep, "keep", 0, "save into a directory, and keep so many backups there")
	cmd.Flags().StringVar(&recipients, "recipients", "", "file of age recipients that the backup is encrypted for")
	cmd.Flags().StringVar(&member, "from", "", "member to ask for what it has (default: the leader, for everything acknowledged)")
	return cmd
}

func newSnapshotInspect(a *cli.App) *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use: "inspect FILE", Short: "Say what a backup holds, and hold it to its checksums; needs no cluster", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			ids, err := identities(identity)
			if err != nil {
				return err
			}
			info, err := backup.InspectFile(args[0], ids)
			if err != nil {
				return err
			}
			return p.Print(info, func() console.Table { return backupTable(info) })
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", identityUsage)
	return cmd
}

const identityUsage = "file of age identities, for a backup that is encrypted"

// identities are those of a file; none where none is named.
func identities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	return backup.Identities(path)
}

func newSnapshotRestore(a *cli.App) *cobra.Command {
	var yes, check bool
	var identity string
	cmd := &cobra.Command{
		Use: "restore FILE --yes", Short: "Restore a backup into a cluster whose catalog is empty", Args: cobra.ExactArgs(1),
		Long: `Makes a backup the catalog of a new cluster, in the place of one whose members were all lost. What happened after the backup
is lost: videos published since are unknown, and their chunks are dropped in time; videos deleted since are back, some without
chunks. Uploads that were open are aborted. See docs/metastore.md, Backup.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			ids, err := identities(identity)
			if err != nil {
				return err
			}
			info, err := backup.InspectFile(args[0], ids)
			if err != nil {
				return err
			}
			what := fmt.Sprintf("make the catalog of %s, with %d published videos, this cluster's", info.Time.Format("2006-01-02 15:04:05 MST"), info.Counts.Published)
			if err := cli.Confirm(yes, what); err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("restore backup: %w", err)
			}
			defer f.Close()
			in, err := backup.Decrypt(f, ids)
			if err != nil {
				return err
			}
			out, err := c.Meta.RestoreSnapshot(ctx, in, info.Size)
			if err != nil {
				return console.Hint(err, "vstack raft status; vstack video ls")
			}
			if !check {
				return p.Print(out, func() console.Table {
					return console.Table{Head: []string{"published", "chunks", "aborted", "stores", "index", "checksum"},
						Rows: [][]any{{out.Published, out.Chunks, out.Aborted, out.Stores, out.Index, out.Checksum}},
						Foot: "Next:  vstack raft snapshot check"}
				})
			}
			p.Say("restored %d videos; the catalog goes on at index %d", out.Published, out.Index)
			return checkHeld(ctx, a, c, p)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	cmd.Flags().StringVar(&identity, "identity", "", identityUsage)
	cmd.Flags().BoolVar(&check, "check", false, "then ask every store for the chunks that the catalog names")
	return cmd
}

func backupTable(i backup.Info) console.Table {
	whose := "member " + i.Node + " had"
	if i.Leader {
		whose = "leader " + i.Node
	}
	return console.Table{
		Head:  []string{"saved", "cluster", "index", "term", "videos", "published", "chunks", "open uploads", "stores", "size"},
		Right: []int{2, 3, 4, 5, 6, 7, 8, 9}, Yield: []string{"stores", "open uploads", "term", "chunks", "index", "videos"},
		Rows: [][]any{{i.Time.Format("2006-01-02 15:04:05 MST"), i.Cluster, i.Index, i.Term, i.Counts.Videos, i.Counts.Published, i.Counts.Chunks, i.Counts.Open, i.Counts.Stores, console.Bytes(i.Size)}},
		Foot: fmt.Sprintf("what %s · catalog checksum %s · file SHA-256 %s", whose, i.Checksum, i.SHA256),
	}
}

// checkHeld asks the stores and prints what is missing.
func checkHeld(ctx context.Context, a *cli.App, c *cluster.Cluster, p *console.Printer) error {
	r, err := askHeld(ctx, a, c, nil)
	if err != nil {
		return err
	}
	if err := p.Print(r, func() console.Table {
		t := console.Table{Head: []string{"slot", "chunk", "copies", "fragments"}, Foot: heldFoot(r)}
		t.Empty = t.Foot
		if r.Stores == 0 {
			return t // nothing is known of any
		}
		for _, m := range r.Missing {
			t.Rows = append(t.Rows, []any{m.Slot, m.Chunk.Short(), m.Copies, m.Fragments})
		}
		return t
	}); err != nil {
		return err
	}
	return heldOutcome(r)
}
