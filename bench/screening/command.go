package screening

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/internal/vstack"
)

// command measures what a person waits who types the command that plays: a program that starts,
// reads its bundle, asks the catalog for the manifest and the map, and then a store.
func (h *house) command(ctx context.Context, n scenario.Layout, video vstack.VideoID) error {
	for range tries {
		if err := h.lab.Net.CountAnew(); err != nil {
			return err
		}
		if err := SetLinks(h.lab, n); err != nil {
			return err
		}
		took, err := h.firstByte(ctx, video)
		late, kept := Lateness(h.lab)
		if err := errors.Join(err, Calm(ctx, h.lab)); err != nil {
			return err
		}
		if errors.Is(kept, link.ErrLate) {
			h.opt.Progress("  once more: " + kept.Error())
			continue
		}
		h.out.LateP95 = max(h.out.LateP95, late)
		h.out.FromCommand = append(h.out.FromCommand, took.Seconds())
		return kept
	}
	return nil // the pair's figures stand; the command's are of fewer
}

// firstByte is the time from the program's start to what it writes first.
func (h *house) firstByte(ctx context.Context, video vstack.VideoID) (took time.Duration, err error) {
	ctx, stop := context.WithTimeout(ctx, patience*h.opt.Length)
	defer stop()
	cmd := exec.CommandContext(ctx, h.opt.Exe, "--cluster", h.lab.Lab.Client, "video", "play", video.String(), "--speed", "1", "--out", "-", "--progress", "none")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, fmt.Errorf("play by the command: %w", err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("play by the command: %w", err)
	}
	if _, err = io.ReadFull(out, make([]byte, firstBytes)); err != nil {
		err = fmt.Errorf("play by the command: %w: it wrote nothing", err)
	}
	took = time.Since(began)
	stop()
	_ = cmd.Wait() // it was ended
	return took, err
}

// firstBytes is what has to come before something shows: more than the boxes that tell of tracks.
const firstBytes = 16 << 10
