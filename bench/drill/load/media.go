package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	clipSeconds = 3
	// uploadTimeout is how long a person goes on trying to upload.
	uploadTimeout = 2 * time.Minute
	// maxKept bounds the videos that are there to be read back.
	maxKept    = 8
	retryPause = 250 * time.Millisecond
	// boxHead is the size of an MP4 box without content.
	boxHead = 8
)

// makeClip has ffmpeg draw a moving picture with a tone.
func makeClip(ctx context.Context, ffmpeg, file string) error {
	return run(ctx, ffmpeg, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=640x360:rate=30:duration=%d", clipSeconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=48000:duration=%d", clipSeconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", bitrate, "-pix_fmt", "yuv420p", "-g", "60", "-c:a", "aac", file)
}

// makeFilm strings clips together without encoding anything again.
func makeFilm(ctx context.Context, ffmpeg, clip, film string) error {
	return run(ctx, ffmpeg, "-stream_loop", strconv.Itoa(filmSeconds/clipSeconds-1), "-i", clip, "-map", "0", "-c", "copy", film)
}

func run(ctx context.Context, ffmpeg string, args ...string) error {
	cmd := exec.CommandContext(ctx, ffmpeg, append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a clip with %s: %w: %s", ffmpeg, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Media uploads and plays.
type Media struct {
	env  Env
	dir  string
	film *vstack.Manifest
	prog *console.Progress
	// nonce is in every file that is sent.
	nonce uuid.UUID

	mu   sync.Mutex
	kept []vstack.VideoID // published and not read back yet; the oldest first
	turn chan struct{}    // closed when the upload under way ends; nil without one
	// watching is what each viewer sees now; nil before the first film.
	watching [players]*viewing
}

func openMedia(ctx context.Context, env Env, film bool) (*Media, error) {
	m := &Media{env: env, dir: env.Dir, nonce: uuid.New(), prog: console.NewProgress(console.ProgressNone, io.Discard)}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make clip directory: %w", err)
	}
	if err := makeClip(ctx, env.FFmpeg, m.clip()); err != nil {
		return nil, err
	}
	if !film {
		return m, nil
	}
	file := filepath.Join(m.dir, "film.mp4")
	if err := makeFilm(ctx, env.FFmpeg, m.clip(), file); err != nil {
		return nil, err
	}
	if err := m.stamp(file, 0); err != nil {
		return nil, err
	}
	sum, err := env.Cluster.Hash(ctx, m.prog, file)
	if err != nil {
		return nil, err
	}
	env.Made.sending(sum)
	job, err := env.Cluster.Upload(ctx, m.prog, file, cluster.UploadOptions{Title: titles + "film"})
	if err != nil {
		return nil, fmt.Errorf("upload the players' film: %w", err)
	}
	m.film, err = env.Cluster.Meta.Manifest(ctx, job.Video)
	return m, err
}

func (m *Media) clip() string { return filepath.Join(m.dir, "clip.mp4") }

// upload uploads one file after the other until ctx ends.
func (m *Media) upload(ctx context.Context) error {
	file := filepath.Join(m.dir, "upload.mp4")
	defer m.turned(nil) // whoever waits from now on need not
	for n := uint64(1); ctx.Err() == nil; n++ {
		if n > 1 {
			m.turned(make(chan struct{}))
		}
		if err := m.distinct(file, n); err != nil {
			return err
		}
		begun := time.Now()
		id, err := m.uploadOne(ctx, file, fmt.Sprintf(titles+"upload %d", n))
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			m.env.Fail(report.UploadFailed, "upload %d, given up after %s: %v", n, report.Seconds(time.Since(begun).Seconds()), err)
			continue
		}
		m.env.Add(report.Uploads, 1)
		m.env.Observe(report.UploadTime, time.Since(begun))
		for _, old := range m.keep(id) {
			m.remove(ctx, old)
		}
	}
	return nil
}

// turned tells those who wait that the upload under way has ended; next is of the next.
func (m *Media) turned(next chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.turn)
	m.turn = next
}

func (m *Media) underWay() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.turn
}

// keep notes a video that is to be read back, and returns those that are too many, so
// that a long drill does not fill the disk.
func (m *Media) keep(id vstack.VideoID) []vstack.VideoID {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = append(m.kept, id)
	n := max(0, len(m.kept)-maxKept)
	old := m.kept[:n:n]
	m.kept = m.kept[n:]
	return old
}

func (m *Media) remove(ctx context.Context, id vstack.VideoID) {
	err := m.env.Cluster.Meta.DeleteVideo(ctx, id)
	switch {
	case err == nil:
		m.env.Made.gone(id)
	case ctx.Err() == nil:
		m.env.Fail(report.WriteFailed, "delete %s: %v", id, err)
	}
}

// ReadBack reads every byte of the last videos whose publish was acknowledged, and
// removes them; with film also the players', which stays. The cluster is healthy.
func (m *Media) ReadBack(ctx context.Context, film bool) error {
	m.mu.Lock()
	ids := m.kept
	m.kept = nil
	m.mu.Unlock()
	if film && m.film != nil {
		ids = append(ids, m.film.Video)
	}
	for _, id := range ids {
		v, err := m.env.Cluster.Verify(ctx, m.prog, id, true)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			m.env.Fail(report.LostPublishes, "the publish of %s was acknowledged; after healing: %v", id, err)
			continue
		case v.Chunks == 0 || v.Unreadable > 0:
			m.env.Fail(report.LostPublishes, "the publish of %s was acknowledged; after healing %d of its %d chunks have no good copy", id, v.Unreadable, v.Chunks)
			continue
		}
		m.env.Add(report.PublishesRead, 1)
		if m.film == nil || id != m.film.Video {
			m.remove(ctx, id)
		}
	}
	return nil
}

// distinct writes the clip as no other file is.
func (m *Media) distinct(file string, n uint64) error {
	body, err := os.ReadFile(m.clip())
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return err
	}
	return m.stamp(file, n)
}

// stamp ends a file with a free box of its own: the catalog knows a source by its
// SHA-256, and a given cluster may have uploads of an earlier drill.
func (m *Media) stamp(file string, n uint64) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("stamp clip: %w", err)
	}
	box := append(binary.BigEndian.AppendUint32(nil, boxHead+8+uint32(len(m.nonce))), "free"...)
	_, err = f.Write(append(binary.BigEndian.AppendUint64(box, n), m.nonce[:]...))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("stamp clip: %w", err)
	}
	return nil
}

// uploadOne does what a person does whose uploader is lost: look what has become of the
// upload, and send the file to another.
func (m *Media) uploadOne(ctx context.Context, file, title string) (vstack.VideoID, error) {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	sum, err := m.env.Cluster.Hash(ctx, m.prog, file)
	if err != nil {
		return vstack.VideoID{}, err
	}
	m.env.Made.sending(sum)
	opt, retried := cluster.UploadOptions{Title: title}, false
	for {
		job, err := m.env.Cluster.Upload(ctx, m.prog, file, opt)
		if err == nil {
			m.env.Made.video(job.Video)
			if !retried {
				m.env.Made.sent(sum)
			}
			return job.Video, nil
		}
		if !sleep.For(ctx, retryPause) {
			return vstack.VideoID{}, err
		}
		m.env.Note("%s: %v", title, err)
		m.env.Add(report.UploadRetries, 1)
		list, lerr := m.env.Cluster.Meta.Uploads(ctx, metaclient.UploadFilter{SourceSHA256: sum})
		if lerr != nil {
			return vstack.VideoID{}, errors.Join(err, lerr)
		}
		opt.Resume, retried = false, true
		for _, up := range list {
			switch up.State {
			case vstack.UploadPublished:
				m.env.Made.video(up.Video)
				return up.Video, nil
			case vstack.UploadOpen:
				opt.Resume = true
			}
		}
	}
}
