package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/vstack/vstack/internal/console"
)

// clipSeconds is long enough for several chunks a track.
const clipSeconds = 24

// makeClip has ffmpeg draw a moving test picture with a beep, H.264 and AAC.
func makeClip(ctx context.Context, prog *console.Progress, ffmpeg, file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil // an earlier start made it
	}
	task := prog.Task("clip", console.UnitCount, 0)
	part := file + ".part.mp4"
	defer os.Remove(part) // gone after the rename
	cmd := exec.CommandContext(ctx, ffmpeg, "-hide_banner", "-nostdin", "-v", "error", "-y",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=1280x720:rate=30:duration=%d", clipSeconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:beep_factor=4:sample_rate=48000:duration=%d", clipSeconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-pix_fmt", "yuv420p", "-g", "60",
		"-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", part)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches it through ctx
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		task.Fail("ffmpeg")
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return console.Hint(fmt.Errorf("make a clip with %s: %w: %s", ffmpeg, err, strings.TrimSpace(stderr.String())), "vstack doctor")
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("make a clip: %w", err)
	}
	task.End(fmt.Sprintf("%d s of moving picture and sound", clipSeconds))
	return nil
}
