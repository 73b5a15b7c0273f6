package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
)

func newVideoExport(a *cli.App) *cobra.Command {
	var out string
	var original, force bool
	var tracks []uint
	cmd := &cobra.Command{
		Use: "export VIDEO -o FILE", Short: "Write a video back into one file", Args: cobra.ExactArgs(1),
		Long: `Puts the stored tracks into FILE (.mp4, .mov, .mkv, .m4a, .mka) without touching a frame; of several
renditions the first. --original gives back the very bytes that were uploaded with --keep-original, checked against
their SHA-256. A FILE that exists is replaced with --force only.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			id, err := c.FindVideo(ctx, args[0])
			if err != nil {
				return err
			}
			if err := checkExport(out, original, force); err != nil {
				return err
			}
			m, err := c.Meta.Manifest(ctx, id)
			if err != nil {
				return console.Hint(err, "vstack video ls")
			}
			prog, err := a.Progress()
			if err != nil {
				return err
			}
			if original {
				err = c.ExportOriginal(ctx, prog, m, out)
			} else {
				err = c.Export(ctx, prog, m, tracks, out)
			}
			prog.Close()
			if err != nil {
				return fmt.Errorf("export video %s: %w", id, err)
			}
			st, err := os.Stat(out)
			if err != nil {
				return err
			}
			p.Say("wrote %s, %s", out, console.Bytes(st.Size()))
			return nil
		}),
	}
	// -o is the file here: a listing's format has no meaning for this command.
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "", "file to write")
	f.BoolVar(&original, "original", false, "the uploaded file's very bytes")
	f.BoolVar(&force, "force", false, "replace the file if it exists")
	f.UintSliceVar(&tracks, "track", nil, "tracks to export (default: the first rendition and every audio track)")
	return cmd
}

// checkExport refuses before anything is read what could not be written at the end.
func checkExport(out string, original, force bool) error {
	forms := []string{".mp4", ".m4v", ".m4a", ".mov", ".mkv", ".mka"}
	if out == "" {
		return console.Hint(fmt.Errorf("%w: no file to write: -o FILE", console.ErrUsage), "vstack video export --help")
	}
	if !original && !slices.Contains(forms, strings.ToLower(filepath.Ext(out))) {
		return fmt.Errorf("%w: %s: extension is none of %s", console.ErrUsage, out, strings.Join(forms, " "))
	}
	if _, err := os.Lstat(out); err == nil && !force {
		return console.Hint(fmt.Errorf("%w: %s exists: %w", console.ErrUsage, out, fs.ErrExist), "another name, or --force to replace it")
	}
	return nil
}
