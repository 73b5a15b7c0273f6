package players

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// largeParts of largeSeconds make a large film, and largeClocks lie between the clocks of
// those of two kinds.
const (
	largeSeconds = 25
	largeParts   = 8
	largeClocks  = 100
)

// Large makes a film of some 200 MB, 8 Mbit a second, with its index at the front or at the end. Each round's has a clock of its own, so
// that no chunk is one that the stores have.
func Large(ctx context.Context, dir, index string, round int) (file string, size int64, err error) {
	part, file := filepath.Join(dir, "part.mp4"), filepath.Join(dir, index+".mp4")
	if _, err := os.Stat(part); err != nil {
		if err := Clip(ctx, part, Picture{Seconds: largeSeconds, Rate: "8M"}); err != nil {
			return "", 0, err
		}
	}
	args := []string{"-v", "error", "-nostdin", "-y", "-stream_loop", fmt.Sprint(largeParts - 1), "-i", part, "-c", "copy", "-video_track_timescale", fmt.Sprint(600 * (20 + round))}
	if index == "front" {
		args = append(args, "-movflags", "+faststart")
	} else {
		args[len(args)-1] = fmt.Sprint(600 * (20 + largeClocks + round))
	}
	if out, err := exec.CommandContext(ctx, "ffmpeg", append(args, file)...).CombinedOutput(); err != nil {
		return "", 0, fmt.Errorf("make %s: %w: %s", file, err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", 0, err
	}
	return file, info.Size(), nil
}
