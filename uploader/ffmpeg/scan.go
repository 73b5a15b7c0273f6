package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/jail"
	"github.com/vstack/vstack/uploader/said"
)

const (
	probeTimeout = 60 * time.Second
	maxProbe     = 4 << 20 // bytes of ffprobe's JSON
	scanTimeout  = 30 * time.Minute
	// maxKeys bounds the keyframes of a stream that a scan keeps: a film of 8 h of
	// nothing but keyframes is cut by time instead.
	maxKeys = 1 << 17
)

// Scan is what all packets of a file say.
type Scan struct {
	Streams map[int]StreamScan
}

// StreamScan is what all packets of a stream say. Times are seconds after the file's start.
type StreamScan struct {
	Packets int
	First   float64
	Gap     float64   // the longest step from one packet's time to the next one's
	Keys    []float64 // of keyframes, in order (every packet of sound is one); nil where they are too many

	last    float64
	tooMany bool
}

// Scan reads the times of all packets, without decoding one. It reads the whole file, so
// it is only made where something depends on it.
// origin is Media's.
func (t Tools) Scan(ctx context.Context, origin float64, file string) (Scan, error) {
	out := &packetLines{origin: origin, scan: Scan{Streams: map[int]StreamScan{}}}
	err := t.runProbe(ctx, file, out, scanTimeout, "-of", "csv=p=0:nk=1", "-show_packets",
		"-show_entries", "packet=stream_index,pts_time,dts_time,flags:packet_side_data=:packet_tags=")
	return out.scan, err
}

// packetLines reads ffprobe's lines as they come.
type packetLines struct {
	origin float64
	scan   Scan
	rest   []byte
}

func (p *packetLines) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			break
		}
		p.line(string(p.rest[:i]))
		p.rest = p.rest[i+1:]
	}
	if len(p.rest) > 64<<10 {
		return 0, errors.New("a line without an end")
	}
	return len(b), nil
}

// line is "stream,pts,dts,flags"; what else stands in a line does not concern us.
func (p *packetLines) line(s string) {
	f := strings.Split(strings.TrimSpace(s), ",")
	if len(f) < 4 {
		return
	}
	stream, err := strconv.Atoi(f[0])
	if err != nil {
		return
	}
	x := p.scan.Streams[stream]
	pts, err := strconv.ParseFloat(f[1], 64)
	order := pts // reordered frames step back and forth, their decode times do not
	if dts, e := strconv.ParseFloat(f[2], 64); e == nil {
		order = dts
	}
	if err == nil {
		pts, order = pts-p.origin, order-p.origin
		if x.Packets == 0 {
			x.First, x.last = pts, order
		}
		x.First, x.Gap, x.last = min(x.First, pts), max(x.Gap, order-x.last), max(x.last, order)
		if strings.HasPrefix(f[3], "K") && !x.tooMany {
			if len(x.Keys) == maxKeys {
				x.Keys, x.tooMany = nil, true
			} else {
				x.Keys = append(x.Keys, pts)
			}
		}
	}
	x.Packets++
	p.scan.Streams[stream] = x
}

// cutEvery is the least time between cut points, in seconds.
const cutEvery = 4.0

// Cuts are a stream's cut points: the first keyframe at or after every cutEvery since the
// last one. nil where the keyframes are not known.
func (x StreamScan) Cuts() []float64 {
	var out []float64
	next := math.Inf(-1)
	for _, k := range x.Keys {
		if k >= next-1e-6 {
			out, next = append(out, k), k+cutEvery
		}
	}
	return out
}

// runProbe runs ffprobe on a file, its output to out.
func (t Tools) runProbe(ctx context.Context, file string, out io.Writer, timeout time.Duration, args ...string) error {
	return t.runProbeSaying(ctx, file, out, io.Discard, timeout, args...)
}

// runProbeSaying is runProbe whose complaints also go to complaints.
func (t Tools) runProbeSaying(ctx context.Context, file string, out, complaints io.Writer, timeout time.Duration, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	in, err := t.inputArgs(file)
	if err != nil {
		return err
	}
	args = append(append([]string{"-hide_banner", "-v", "error", "-max_alloc", maxAlloc}, args...), in...)
	stderr := &said.Tail{Max: 8 << 10}
	b := t.bounds(0)
	b.CPU = min(b.CPU, timeout)
	c, err := t.jailed(ctx, b, file, t.ffprobe(), args...)
	if err != nil {
		return fmt.Errorf("probe: %w: %w", vstack.ErrInternal, err)
	}
	c.Stdout, c.Stderr = out, io.MultiWriter(stderr, complaints)
	err = t.runFed(ctx, c, file, func() error { return t.Jail.Start(c, b) })
	exceeded := b.Exceeded(c.ProcessState, stderr.Head())
	abs, _ := filepath.Abs(file)
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("probe: %w: ffprobe took longer than %s", vstack.ErrMediaUnfit, timeout)
	case ctx.Err() != nil:
		return fmt.Errorf("probe: %w", ctx.Err())
	case isExit(err) && exceeded != nil:
		return fmt.Errorf("probe: %w", exceeded)
	case isExit(err) && c.ProcessState.ExitCode() == jail.Failed:
		return fmt.Errorf("run ffprobe: %w: %s", vstack.ErrInternal, stderr.Text(abs))
	case isExit(err):
		return fmt.Errorf("probe: %w: %s", vstack.ErrNotMedia, stderr.Text(abs))
	case err != nil && !isOver(out):
		return fmt.Errorf("run ffprobe: %w: %w", vstack.ErrInternal, err)
	}
	return nil
}

// limited keeps the first max bytes and remembers that there were more.
type limited struct {
	b    bytes.Buffer
	max  int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > l.max {
		l.over = true
		return 0, errors.New("output larger than its bound")
	}
	return l.b.Write(p)
}

func isExit(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e)
}

func isOver(out any) bool {
	l, ok := out.(*limited)
	return ok && l.over
}
