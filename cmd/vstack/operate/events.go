package operate

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// eventsPage is what is asked for at once.
	eventsPage = 1000
	// eventsPoll is how often who follows asks for more.
	eventsPoll = time.Second
)

// Events is the command that shows what happened, and who asked for it.
func Events(a *cli.App) *cobra.Command {
	var follow bool
	var last int
	cmd := &cobra.Command{
		Use: "events", Short: "What happened to the cluster, and who asked for it", Args: cobra.NoArgs,
		Long: `Shows the events that the catalog remembers, the last 4,096: videos published, deleted, pinned and moved between classes; stores
that joined, went away, came back, were lost, ordered and emptied; the sharing out of roles; changes of the feature level. BY is
the certificate that asked; nothing where the cluster did it by itself. With --follow, new ones are shown as they come.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			events, since, err := allEvents(ctx, c)
			if err != nil {
				return err
			}
			if last > 0 && len(events) > last {
				events = events[len(events)-last:]
			}
			if !follow {
				return p.Print(wire.List[vstack.Event]{Items: events}, func() console.Table { return eventTable(events) })
			}
			for {
				for _, e := range events {
					if p.Format != console.FormatTable {
						if err := p.Print(e, nil); err != nil {
							return err
						}
						continue
					}
					fmt.Fprintf(p.Out, "%s  %-9s  %s\n", e.Time.Local().Format(time.DateTime), e.Kind, sentence(e))
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(eventsPoll):
				}
				page, err := c.Meta.Events(ctx, since, eventsPage)
				if err != nil {
					return err
				}
				events, since = page.Items, page.Next
			}
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on, until Ctrl-C")
	cmd.Flags().IntVar(&last, "last", 50, "only the last ones (0: all)")
	return cmd
}

// allEvents reads every page.
func allEvents(ctx context.Context, c *cluster.Cluster) (all []vstack.Event, since uint64, err error) {
	all = []vstack.Event{}
	for {
		page, err := c.Meta.Events(ctx, since, eventsPage)
		if err != nil {
			return nil, 0, err
		}
		all, since = append(all, page.Items...), page.Next
		if !page.More {
			return all, since, nil
		}
	}
}

func eventTable(events []vstack.Event) console.Table {
	t := console.Table{Head: []string{"time", "what", "of", "detail", "by"}, Flex: "detail", Yield: []string{"by"}, Empty: "nothing is remembered: events are kept from feature level 4 on"}
	for _, e := range events {
		t.Rows = append(t.Rows, []any{e.Time.Local().Format(time.DateTime), string(e.Kind), e.Of, e.Detail, e.By})
	}
	return t
}

// sentence is an event in a line.
func sentence(e vstack.Event) string {
	text := e.Of
	if e.Detail != "" {
		text += " " + e.Detail
	}
	if e.By != "" {
		text += " (by " + e.By + ")"
	}
	return console.Clean(text)
}
