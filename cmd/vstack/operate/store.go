package operate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func Store(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Stores: the data directories of the hosts"}
	cmd.AddCommand(&cobra.Command{
		Use: "ls", Short: "List the stores", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			nodes, err := c.Meta.Nodes(ctx)
			if err != nil {
				return err
			}
			stores, err := c.Stores(ctx, nodes)
			if err != nil {
				return err
			}
			return p.Print(wire.List[cluster.StoreRow]{Items: stores}, func() console.Table { return storeTable(nodes, stores, time.Now()) })
		}),
	}, newStoreReplace(a), newScrub(a), newRewrap(a))
	cmd.AddCommand(orderCommands(a, "store", pickStores)...)
	return cmd
}

func newStoreReplace(a *cli.App) *cobra.Command {
	var with string
	var wait, yes bool
	cmd := &cobra.Command{
		Use: "replace STORE --yes", Short: "Move a store's roles to other stores", Args: cobra.ExactArgs(1),
		Long: `Moves the store's place in every placement group to another store, by an epoch change of each group.
Uploads go on meanwhile. STORE is an id, or enough of its beginning
or its end, or an address.

With --wait, exit code 6 says that some roles stay, because no other store can take them.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			if with != "" {
				args = append(args, with)
			}
			var ids []vstack.StoreID
			for _, name := range args {
				s, err := c.FindStore(ctx, name)
				if err != nil {
					return err
				}
				ids = append(ids, s.ID)
			}
			if err := cli.Confirm(yes, fmt.Sprintf("move every role of store %s", ids[0])); err != nil {
				return err
			}
			prog, err := a.Progress()
			if err != nil {
				return err
			}
			r, err := c.Replace(ctx, prog, ids[0], append(ids, vstack.StoreID{})[1], wait)
			prog.Close()
			if err != nil && !errors.Is(err, console.ErrDegraded) {
				return console.Hint(err, "vstack store ls")
			}
			return errors.Join(err, p.Print(r, func() console.Table {
				return console.Table{Head: []string{"store", "groups", "left"}, Right: []int{1, 2}, Rows: [][]any{{r.Store, r.Groups, r.Left}}}
			}))
		}),
	}
	cmd.Flags().StringVar(&with, "with", "", "store that takes its place, where the copies then still lie on as many hosts (default: the best ones)")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the roles have moved")
	cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
	return cmd
}

func newScrub(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "scrub", Short: "Read every stored byte and check it"}
	var rate int64
	start := &cobra.Command{
		Use: "start [STORE…]", Short: "Start a pass on the given stores, or on all",
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			body := fmt.Sprintf(`{"rate":%d}`, rate)
			return scrub(ctx, c, p, args, func(s vstack.Store) (wire.ScrubStatus, error) {
				var st wire.ScrubStatus
				return st, c.Call(ctx, http.MethodPost, s.Addr, "/v1/scrub", strings.NewReader(body), &st)
			})
		}),
	}
	start.Flags().Int64Var(&rate, "rate", 0, "bound in bytes a second (0: as the store is configured)")
	cmd.AddCommand(start, &cobra.Command{
		Use: "stop [STORE…]", Short: "End the running pass; the next one begins at the beginning",
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			return scrub(ctx, c, p, args, func(s vstack.Store) (wire.ScrubStatus, error) {
				var st wire.ScrubStatus
				return st, c.Call(ctx, http.MethodDelete, s.Addr, "/v1/scrub", nil, &st)
			})
		}),
	}, &cobra.Command{
		Use: "status [STORE…]", Short: "The running or last pass",
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			return scrub(ctx, c, p, args, func(s vstack.Store) (wire.ScrubStatus, error) {
				var st wire.StoreStatus
				err := c.Get(ctx, s.Addr, "/v1/store", &st)
				return st.Scrub, err
			})
		}),
	})
	return cmd
}

// ScrubRow is one store's line of `vstack store scrub`.
type ScrubRow struct {
	Store vstack.StoreID   `json:"store"`
	Host  vstack.HostID    `json:"host"`
	Addr  string           `json:"addr"`
	Scrub wire.ScrubStatus `json:"scrub"`
	Error string           `json:"error,omitempty"`
}

// scrub asks every selected store and prints what each says; a store that does not
// answer makes the command fail after the others were shown.
func scrub(ctx context.Context, c *cluster.Cluster, p *console.Printer, ids []string, ask func(vstack.Store) (wire.ScrubStatus, error)) error {
	stores, err := selectStores(ctx, c, ids)
	if err != nil {
		return err
	}
	var rows []ScrubRow
	var errs []error
	for _, s := range stores {
		row := ScrubRow{Store: s.ID, Host: s.Host, Addr: s.Addr}
		if row.Scrub, err = ask(s); err != nil {
			row.Error = err.Error()
			errs = append(errs, fmt.Errorf("store %s: %w", s.Addr, err))
		}
		rows = append(rows, row)
	}
	now := time.Now()
	err = p.Print(wire.List[ScrubRow]{Items: rows}, func() console.Table {
		t := console.Table{Head: []string{"store", "address", "state", "passes", "chunks", "read", "corrupt", "ended"}, Right: []int{3, 4, 5, 6}, Yield: []string{"passes", "read", "ended", "chunks"}}
		for _, r := range rows {
			state := "idle"
			switch {
			case r.Error != "":
				state = "no answer"
			case r.Scrub.Running:
				state = "running"
			case r.Scrub.Error != "":
				state = r.Scrub.Error
			}
			t.Rows = append(t.Rows, []any{r.Store, r.Addr, state, r.Scrub.Passes, r.Scrub.Chunks, console.Bytes(r.Scrub.Bytes), r.Scrub.Corrupt, console.Ago(r.Scrub.Ended, now)})
		}
		return t
	})
	return errors.Join(append(errs, err)...)
}

// selectStores returns the stores named by id or address, or all.
func selectStores(ctx context.Context, c *cluster.Cluster, names []string) ([]vstack.Store, error) {
	var out []vstack.Store
	for _, name := range names {
		s, err := c.FindStore(ctx, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(have vstack.Store) bool { return have.ID == s.ID }) {
			out = append(out, s)
		}
	}
	if len(names) > 0 {
		return out, nil
	}
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		for _, s := range n.Stores {
			out = append(out, s.Store)
		}
	}
	return out, nil
}
