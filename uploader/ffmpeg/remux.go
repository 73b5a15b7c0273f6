package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/child"
	"github.com/vstack/vstack/uploader/said"
)

// lastDuration gives every packet of sound the time until the next one; the last keeps
// its own, if it has one, else it gets that of the one before it (a FLAC track may so
// come out up to one block longer). Fragmented MP4 leaves some without (Opus), and a last packet of no
// duration would lie behind the end that the new file's edit list states.
const lastDuration = `setts=duration=if(gt(NEXT_DTS\,DTS)\,NEXT_DTS-DTS\,if(gt(DURATION\,0)\,DURATION\,DTS-PREV_INDTS))`

// Remux runs the ffmpeg on PATH.
func Remux(ctx context.Context, inputs []string, out string) error {
	return Tools{}.Remux(ctx, inputs, out)
}

// Remux puts tracks back into one file without touching a frame. Each input is one
// track: its init segment and its chunks, concatenated, as a file or a named pipe
// (opened in order, each read to its end). The form follows out's extension: .mp4,
// .m4v, .m4a, .mov, .mkv or .mka. out appears under its name only when it is whole.
func (t Tools) Remux(ctx context.Context, inputs []string, out string) (err error) {
	format, ok := map[string]string{".mp4": "mp4", ".m4v": "mp4", ".m4a": "mp4", ".mov": "mov", ".mkv": "matroska", ".mka": "matroska"}[strings.ToLower(filepath.Ext(out))]
	if !ok {
		return fmt.Errorf("remux to %s: %w: extension is not one of .mp4 .m4v .m4a .mov .mkv .mka", out, vstack.ErrInvalid)
	}
	if len(inputs) == 0 || len(inputs) > vstack.MaxTracks {
		return fmt.Errorf("remux to %s: %w: %d tracks, want 1 to %d", out, vstack.ErrInvalid, len(inputs), vstack.MaxTracks)
	}
	part, err := filepath.Abs(out + ".part")
	if err != nil {
		return fmt.Errorf("remux to %s: %w", out, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(part)))
		}
	}()
	// -copyts: inputs keep their common clock, instead of each being moved to zero.
	args := []string{"-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y", "-copyts"}
	for _, in := range inputs {
		a, err := Tools{}.inputArgs(in)
		if err != nil {
			return fmt.Errorf("remux: %w", err)
		}
		args = append(args, a...)
	}
	for i := range inputs {
		args = append(args, "-map", strconv.Itoa(i))
	}
	args = append(args, "-c", "copy", "-bsf:a", lastDuration, "-strict", "experimental", "-fflags", "+bitexact")
	if format != "matroska" {
		args = append(args, "-movflags", "+faststart")
	}
	args = append(args, "-f", format, "file:"+part)
	if err := checkArgs(args, "file:"); err != nil {
		return fmt.Errorf("remux: %w", err)
	}
	stderr := &said.Tail{Max: 8 << 10}
	c := child.Command(ctx, t.ffmpeg(), args...)
	c.Stdout, c.Stderr = stderr, stderr
	if err := child.Run(c); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("remux to %s: %w", out, context.Cause(ctx))
		}
		return fmt.Errorf("remux to %s: %w: %s (%w)", out, vstack.ErrTranscode, stderr.Text(part), err)
	}
	if err := os.Rename(part, out); err != nil {
		return fmt.Errorf("remux to %s: %w", out, err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
