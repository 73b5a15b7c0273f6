package deliver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/cluster/pace"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// askPause is the pause between two tries of one host; it doubles up to askPauseMax.
	askPause, askPauseMax = 200 * time.Millisecond, 5 * time.Second
	tusVersion            = "1.0.0"
)

var (
	// errPassedOn says that the uploader would not take it: it stops, or has enough to do.
	errPassedOn = errors.New("not taken")
	// ErrNoTus says that the uploader is of a version before resumable uploads.
	ErrNoTus = errors.New("no resumable uploads")
)

// Delivery is one file on its way to an uploader, by the tus protocol.
type Delivery struct {
	To     Uploaders
	Prog   *console.Progress
	File   *os.File
	Size   int64
	Fields [][2]string // the order
	// Only is the uploader to use, HOST:PORT; "" is any that is ready.
	Only string
	// Ticket is the right to upload, for whom no certificate gives it.
	Ticket string
	// Patience is how long the host that has a part is asked before another one gets the file
	// from its first byte.
	Patience time.Duration
	// Subtitles are files that the film is to have; they go before it.
	Subtitles []string
	// Begun is told where a part is, as soon as there is one.
	Begun func(addr, part string)
	// Addr and Part are where the file is; Part is a URL, empty before there is one.
	Addr, Part string

	task *console.Task
	lost string // the host that had the file and stays away
}

// Run sends the file until an uploader has accepted it. A host that is lost is asked for
// patience, and goes on where it stood; then another one begins at byte 0.
func (d *Delivery) Run(ctx context.Context) (acc wire.Accepted, err error) {
	d.task = d.Prog.Task("upload", console.UnitBytes, d.Size)
	for hosts := max(len(d.To.Addrs), 2); ; hosts-- {
		acc, err = d.toOne(ctx)
		if err == nil {
			d.task.End("received by " + d.Addr)
			return acc, nil
		}
		gone := d.Part != "" && errors.Is(err, vstack.ErrNotFound) // it was too old
		lost := errors.Is(err, errPassedOn) || gone || d.Part != "" && MayPass(err)
		if !lost || hosts == 1 || ctx.Err() != nil || d.Only != "" && d.Part != "" && !gone {
			d.task.Fail("not received")
			return acc, err
		}
		switch {
		case gone:
			d.task.Note(fmt.Sprintf("%s has nothing of the file any more; it is sent from its first byte", d.Addr))
		case d.Part != "":
			d.task.Note(fmt.Sprintf("%s is lost (%v); another host gets the file from its first byte", d.Addr, err))
		}
		if d.Part != "" && !gone {
			d.lost = d.Addr
		}
		d.Addr, d.Part = "", ""
	}
}

// toOne sends the file to one uploader: the one that has a part of it, or one that is ready.
func (d *Delivery) toOne(ctx context.Context) (acc wire.Accepted, err error) {
	known := d.Part != "" // a part from before: ask how far it is
	if !known {
		if d.Addr, err = d.To.ready(ctx, d.Only, d.lost, d.task.Note); err != nil {
			return acc, err
		}
		if err := d.create(ctx); err != nil {
			return acc, err
		}
		d.Begun(d.Addr, d.Part)
	}
	heard, pause := time.Now(), askPause
	for offset := int64(0); ; {
		if known {
			var at int64
			if at, acc, err = d.ask(ctx); err == nil {
				if acc.Video != (vstack.VideoID{}) {
					return acc, nil
				}
				if at > offset {
					heard, pause = time.Now(), askPause
				}
				offset = at
			}
		}
		if !known || err == nil {
			if acc, err = d.send(ctx, offset); err == nil {
				return acc, nil
			}
		}
		known = true
		switch {
		case ctx.Err() != nil:
			return acc, fmt.Errorf("send to %s: %w", d.Addr, context.Cause(ctx))
		case !MayPass(err) && !errors.Is(err, vstack.ErrOffset) || time.Since(heard) > d.Patience:
			return acc, err
		}
		d.task.Note(fmt.Sprintf("%s: %v; going on there", d.Addr, err))
		if !sleep.For(ctx, pause) {
			return acc, fmt.Errorf("send to %s: %w", d.Addr, context.Cause(ctx))
		}
		pause = min(2*pause, askPauseMax)
	}
}

// MayPass says that the same host may take the rest later.
func MayPass(err error) bool {
	for _, s := range []error{
		vstack.ErrUnavailable, vstack.ErrTimeout, vstack.ErrTooManyUploads, vstack.ErrNoLeader, vstack.ErrOutcomeUnknown,
		vstack.ErrNotReady, vstack.ErrNoQuorum, vstack.ErrClosed, vstack.ErrDiskFull, vstack.ErrTruncated,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// create makes a part at d.Addr.
func (d *Delivery) create(ctx context.Context) error {
	fields := d.Fields
	if len(d.Subtitles) > 0 {
		ids, err := d.sendSubtitles(ctx)
		if err != nil {
			return err
		}
		fields = append(slices.Clip(fields), [2]string{"subtitles", ids})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+d.Addr+"/v1/files", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Upload-Length", strconv.FormatInt(d.Size, 10))
	req.Header.Set("Upload-Metadata", metadataOf(fields))
	resp, err := d.do(req)
	switch {
	case errors.Is(err, vstack.ErrUnavailable) || errors.Is(err, vstack.ErrTooManyUploads) || errors.Is(err, vstack.ErrTimeout):
		return fmt.Errorf("%w: %w", errPassedOn, err)
	case errors.Is(err, vstack.ErrNotFound) && !d.resumes() || errors.Is(err, vstack.ErrMethod):
		return fmt.Errorf("%w: %w", ErrNoTus, err)
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	at, err := req.URL.Parse(resp.Header.Get("Location"))
	if err != nil || at.Path == req.URL.Path {
		return fmt.Errorf("create at %s: %w: Location %q", d.Addr, vstack.ErrInternal, resp.Header.Get("Location"))
	}
	// The host's own word for itself may be no name here.
	d.Part = (&url.URL{Scheme: "https", Host: d.Addr, Path: at.Path}).String()
	return nil
}

func (d *Delivery) resumes() bool {
	for _, kv := range d.Fields {
		if kv[0] == "resume" {
			return true
		}
	}
	return false
}

func metadataOf(fields [][2]string) string {
	var all []string
	for _, kv := range fields {
		all = append(all, kv[0]+" "+base64.StdEncoding.EncodeToString([]byte(kv[1])))
	}
	return strings.Join(all, ",")
}

// ask asks how far the part is, or what it became.
func (d *Delivery) ask(ctx context.Context) (at int64, acc wire.Accepted, err error) {
	var in wire.Incoming
	if err = d.To.get(ctx, d.Addr, strings.TrimPrefix(d.Part, "https://"+d.Addr), &in); err != nil {
		return 0, acc, err
	}
	if in.Accepted != nil {
		return d.Size, *in.Accepted, nil
	}
	if in.Length != d.Size || in.Offset > d.Size {
		return 0, acc, fmt.Errorf("part at %s: %w: %d of %d bytes, the file has %d", d.Addr, vstack.ErrInvalid, in.Offset, in.Length, d.Size)
	}
	return in.Offset, acc, nil
}

// send sends the rest of the file in one request.
func (d *Delivery) send(ctx context.Context, offset int64) (acc wire.Accepted, err error) {
	rest := io.NewSectionReader(d.File, offset, d.Size-offset)
	counted := pace.NewReader(ctx, rest, d.task, offset, d.Size)
	counted.Start()
	var body io.Reader = counted
	if offset == d.Size {
		body = http.NoBody // everything is there: only the answer is wanted
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, d.Part, body)
	if err != nil {
		return acc, err
	}
	req.ContentLength = d.Size - offset
	req.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	req.Header.Set("Expect", "100-continue")
	resp, err := d.do(req)
	if err != nil {
		return acc, err
	}
	defer resp.Body.Close()
	return acceptedIn(resp)
}

// acceptedIn reads what the last byte made of the file.
func acceptedIn(resp *http.Response) (acc wire.Accepted, err error) {
	if acc.Video, err = vstack.ParseVideoID(resp.Header.Get(wire.HeaderVideo)); err != nil {
		return acc, fmt.Errorf("answer of %s: %w: no video in it", resp.Request.URL.Host, vstack.ErrUnavailable)
	}
	if acc.Duplicate = resp.Header.Get(wire.HeaderDuplicate) == "true"; acc.Duplicate {
		return acc, nil
	}
	acc.Job = resp.Header.Get(wire.HeaderJob)
	acc.Upload, err = vstack.ParseUploadID(resp.Header.Get(wire.HeaderUpload))
	return acc, err
}

func (d *Delivery) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Tus-Resumable", tusVersion)
	present(req, d.Ticket)
	resp, err := d.To.Films.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		defer resp.Body.Close()
		return nil, wire.ReadError(resp)
	}
	return resp, nil
}
