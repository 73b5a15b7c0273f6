package watchers

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// Tokens are the commands about playback tokens.
func Tokens(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Playback tokens: the right to watch a private video for a while"}
	cmd.AddCommand(newSign(a), newVerify(a), newRevoke(a))
	return cmd
}

func newSign(a *cli.App) *cobra.Command {
	var file, kid, from string
	var life, after time.Duration
	cmd := &cobra.Command{
		Use: "sign VIDEO --key FILE --kid KEY", Short: "Sign a playback token, without asking the cluster", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := vstack.ParseVideoID(args[0])
			if err != nil {
				return err
			}
			key, err := readPrivate(file)
			if err != nil {
				return err
			}
			now := time.Now().UTC()
			t := watch.Token{Key: kid, Video: id, Issued: now, Expires: now.Add(after + life)}
			if after > 0 {
				t.NotBefore = now.Add(after)
			}
			if t.Net, err = watch.ParseNet(from); err != nil {
				return err
			}
			s, err := watch.Sign(key, t)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Out, s)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "key", "", "file of the private key, as key add --new wrote it")
	f.StringVar(&kid, "kid", "", "id of the key")
	f.DurationVar(&life, "for", time.Hour, "how long it is good, at most 168h")
	f.DurationVar(&after, "after", 0, "not before so long from now")
	f.StringVar(&from, "from", "", "address or prefix of addresses that may use it; default any")
	_ = cmd.MarkFlagRequired("key") // they are flags of this command
	_ = cmd.MarkFlagRequired("kid")
	return cmd
}

func newVerify(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "verify TOKEN", Short: "Say what a token says, and whether it is good now", Args: cobra.ExactArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			set, err := c.Meta.Keys(ctx)
			if err != nil {
				return err
			}
			var j watch.Judge
			t, err := j.Read(watch.Request{Token: args[0], Keys: set.TokenKeys(), Now: time.Now()})
			if err != nil {
				return err
			}
			v, err := c.Meta.Video(ctx, t.Video)
			if err != nil {
				return err
			}
			if err := t.For(v.ID, v.Access); err != nil {
				return err
			}
			return p.Print(t, func() console.Table {
				return console.Table{Rows: [][]any{{"video", t.Video}, {"key", t.Key}, {"issued", t.Issued.UTC().Format(time.RFC3339)}, {"good until", t.Expires.UTC().Format(time.RFC3339)}}}
			})
		}),
	}
}

func newRevoke(a *cli.App) *cobra.Command {
	var video, key string
	cmd := &cobra.Command{
		Use: "revoke (--video VIDEO | --key KEY)", Short: "Take their rights from all tokens issued until now, for a video or of a key", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, _ *console.Printer, _ []string) error {
			switch {
			case (video == "") == (key == ""):
				return fmt.Errorf("%w: say one of --video VIDEO and --key KEY", console.ErrUsage)
			case key != "":
				return console.Hint(c.Meta.RevokeKey(ctx, key), "vstack key ls")
			}
			id, err := c.FindVideo(ctx, video)
			if err != nil {
				return err
			}
			_, err = c.Meta.PatchVideo(ctx, id, wire.VideoPatch{RevokeTokens: true})
			return err
		}),
	}
	cmd.Flags().StringVar(&video, "video", "", "the video")
	cmd.Flags().StringVar(&key, "key", "", "the key's id")
	return cmd
}

// Visibility is the command that says who may watch a video.
func Visibility(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "visibility VIDEO public|unlisted|private", Short: "Say who may watch a video: all, who has its id, or who has a token", Args: cobra.ExactArgs(2),
		Long: `public is in listings; unlisted is in none, and played by who knows its id; private is played with a token for it (vstack token
sign), and is to everybody else as if it was not there. Hosts and administrators see all. From feature level 5 on.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			to, err := vstack.ParseVisibility(args[1])
			if err != nil {
				return fmt.Errorf("%w: %w", console.ErrUsage, err)
			}
			id, err := c.FindVideo(ctx, args[0])
			if err != nil {
				return err
			}
			v, err := c.Meta.PatchVideo(ctx, id, wire.VideoPatch{Visibility: to})
			if err != nil {
				return err
			}
			return p.Print(v, func() console.Table {
				return console.Table{Rows: [][]any{{"video", v.ID}, {"visibility", v.Access.Visibility}}}
			})
		}),
	}
}
