package cluster

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// Export puts tracks, by default the first rendition and all audio, into one file
// without touching a frame.
func (c *Cluster) Export(ctx context.Context, prog *console.Progress, m *vstack.Manifest, numbers []uint, out string) error {
	opt := quicclient.PlayOptions{Tracks: exportList(m)}
	if len(numbers) > 0 {
		opt.Tracks = nil
		for _, n := range numbers {
			opt.Tracks = append(opt.Tracks, uint16(min(n, 1<<16-1)))
		}
	}
	parts, err := newTrackFiles(out)
	if err != nil {
		return err
	}
	defer parts.remove()
	opt.Sink = parts
	if _, err := c.Play(ctx, prog, m, "", opt); err != nil {
		return err
	}
	// The order of the source, not that in which chunks came.
	slices.Sort(parts.order)
	return parts.mux(ctx, out)
}

// exportList picks the first video rendition of each source stream and all audio.
func exportList(m *vstack.Manifest) []uint16 {
	var out []uint16
	video := false
	for _, t := range m.Tracks {
		switch {
		case t.Kind == vstack.TrackVideo && !video:
			video = true
			out = append(out, t.Number)
		case t.Kind == vstack.TrackAudio:
			out = append(out, t.Number)
		}
	}
	return out
}

// ExportOriginal writes the kept original, checked against its SHA-256 as a whole.
func (c *Cluster) ExportOriginal(ctx context.Context, prog *console.Progress, m *vstack.Manifest, out string) error {
	i := slices.IndexFunc(m.Tracks, func(t vstack.Track) bool { return t.Kind == vstack.TrackOriginal })
	if i < 0 {
		return console.Hint(fmt.Errorf("kept original: %w", vstack.ErrNotFound), "vstack video export %s -o FILE.mp4, and --keep-original at the next upload", m.Video)
	}
	v, err := c.Meta.Video(ctx, m.Video)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dirOf(out), ".vstack-export-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	sink := &hashSink{w: bufio.NewWriterSize(f, 1<<20), sum: sha256.New()}
	_, err = c.Play(ctx, prog, m, "", quicclient.PlayOptions{Tracks: []uint16{m.Tracks[i].Number}, Sink: sink})
	if err := errors.Join(err, sink.w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if got := vstack.ChunkID(sink.sum.Sum(nil)); got != v.Source.SHA256 {
		return fmt.Errorf("SHA-256 is %s, uploaded was %s: %w", got, v.Source.SHA256, vstack.ErrHashMismatch)
	}
	return os.Rename(f.Name(), out)
}

// hashSink writes and hashes.
type hashSink struct {
	w   *bufio.Writer
	sum hash.Hash
}

func (s *hashSink) Chunk(_ context.Context, _ vstack.Track, _ vstack.ChunkRef, data []byte) error {
	if _, err := s.sum.Write(data); err != nil {
		return err
	}
	_, err := s.w.Write(data)
	return err
}

func dirOf(file string) string { return filepath.Dir(file) }
