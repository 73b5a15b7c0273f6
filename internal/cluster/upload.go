package cluster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// pollJob is how often a job's progress is asked for.
	pollJob = 150 * time.Millisecond
	// jobSilence is how long an uploader may not answer before it is given up.
	jobSilence = 5 * time.Second
	// heldPatience is how long a job may wait for the cluster before a person is told
	// and let go; the uploader goes on trying.
	heldPatience = time.Minute
)

// UploadOptions are the form fields of POST /v1/upload besides the file, and how to go
// about it.
type UploadOptions struct {
	Title        string   // default: the file's name
	Renditions   []string // default: the source only
	Class        string   // auto, hot or cold
	KeepOriginal bool
	Resume       bool   // go on with the open upload of the same bytes
	NoWait       bool   // return once the file was received
	Uploader     string // HOST:PORT; default any that is ready
}

// Upload sends one file and, unless told otherwise, follows its job to the end.
func (c *Cluster) Upload(ctx context.Context, prog *console.Progress, file string, opt UploadOptions) (wire.Job, error) {
	var none wire.Job
	f, err := os.Open(file)
	if err != nil {
		return none, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return none, err
	}
	if !st.Mode().IsRegular() {
		return none, fmt.Errorf("%w: not a regular file", vstack.ErrInvalid)
	}
	var resume string
	if opt.Resume {
		id, err := c.openUploadOf(ctx, prog, f, st.Size())
		if err != nil {
			return none, err
		}
		resume = id.String()
	}
	addr, acc, err := c.deliver(ctx, prog, f, st.Size(), opt.Uploader, formFields(file, resume, opt))
	if err != nil {
		return none, err
	}
	if opt.NoWait {
		return c.Job(ctx, addr, acc.Upload)
	}
	job, err := c.FollowJob(ctx, prog, addr, acc.Upload)
	switch {
	case err != nil && job.Error != nil && !job.State.Done():
		err = console.Hint(err, "vstack video ls --state uploading; the uploader at %s goes on by itself once the cluster can", addr)
	case err != nil && job.State != wire.JobFailed:
		err = console.Hint(err, "vstack video upload --resume %s", file)
	}
	return job, err
}

var (
	// errCutOff says that the connection broke before the whole file had left: the uploader
	// cannot have begun to store it.
	errCutOff = errors.New("cut off before the whole file was sent")
	// errPassedOn says that the uploader would not take it: it stops, or has enough to do.
	errPassedOn = errors.New("not taken")
)

// deliver sends the file to an uploader that is ready; when that one dies before it has
// it all, or does not take it, to the next one.
func (c *Cluster) deliver(ctx context.Context, prog *console.Progress, f *os.File, size int64, only string, fields [][2]string) (string, wire.Accepted, error) {
	var acc wire.Accepted
	for tries := max(len(c.cfg.Uploaders), 2); ; tries-- {
		addr, err := c.readyUploader(ctx, only)
		if err != nil {
			return "", acc, err
		}
		acc, err = c.send(ctx, prog, addr, f, size, fields)
		switch {
		case err == nil:
			return addr, acc, nil
		case !errors.Is(err, errCutOff) && !errors.Is(err, errPassedOn) || tries == 1 || ctx.Err() != nil:
			return "", acc, err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return "", acc, err
		}
	}
}

// openUploadOf finds the open upload of the very same bytes in the catalog.
func (c *Cluster) openUploadOf(ctx context.Context, prog *console.Progress, f *os.File, size int64) (vstack.UploadID, error) {
	var none vstack.UploadID
	sum, err := hashFile(ctx, prog, f, size)
	if err != nil {
		return none, err
	}
	list, err := c.Meta.Uploads(ctx, metaclient.UploadFilter{State: vstack.UploadOpen, SourceSHA256: sum})
	if err != nil {
		return none, err
	}
	if len(list) == 0 {
		return none, console.Hint(fmt.Errorf("resume: open upload of SHA-256 %s: %w", sum.Short(), vstack.ErrNotFound), "the same command without --resume")
	}
	return list[0].ID, nil
}

// Hash is the SHA-256 by which the catalog knows a source file.
func (c *Cluster) Hash(ctx context.Context, prog *console.Progress, file string) (vstack.ChunkID, error) {
	f, err := os.Open(file)
	if err != nil {
		return vstack.ChunkID{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return vstack.ChunkID{}, err
	}
	return hashFile(ctx, prog, f, st.Size())
}

func hashFile(ctx context.Context, prog *console.Progress, f *os.File, size int64) (vstack.ChunkID, error) {
	task := prog.Task("hashing", console.UnitBytes, size)
	h := sha256.New()
	if _, err := io.Copy(h, &countingReader{ctx: ctx, r: f, task: task, total: size}); err != nil {
		task.Fail(err.Error())
		return vstack.ChunkID{}, err
	}
	task.End("SHA-256 known")
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return vstack.ChunkID{}, err
	}
	return vstack.ChunkID(h.Sum(nil)), nil
}

// titleOf makes a title of a file's name, which may hold what no title can.
func titleOf(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
}

func formFields(file, resume string, opt UploadOptions) [][2]string {
	title := opt.Title
	if title == "" {
		title = titleOf(file)
	}
	fields := [][2]string{{"title", title}, {"class", cmp.Or(opt.Class, string(vstack.PolicyAuto))}, {"keep_original", strconv.FormatBool(opt.KeepOriginal)}}
	if len(opt.Renditions) > 0 {
		fields = append(fields, [2]string{"renditions", strings.Join(opt.Renditions, ",")})
	}
	if resume != "" {
		fields = append(fields, [2]string{"resume", resume})
	}
	return fields
}

// askPatience is how long each round of asking waits for one uploader: a dead host costs
// little, and one that is only busy is not given up.
var askPatience = [...]time.Duration{2 * time.Second, 15 * time.Second}

// readyUploader picks one that answers /readyz, starting anywhere so that many people
// do not all pick the first.
func (c *Cluster) readyUploader(ctx context.Context, only string) (string, error) {
	list := c.cfg.Uploaders
	if only != "" {
		list = []string{only}
	}
	if len(list) == 0 {
		return "", fmt.Errorf("client bundle: uploaders: %w: none listed", vstack.ErrInvalid)
	}
	start := rand.IntN(len(list))
	var errs []error
	for _, patience := range askPatience {
		errs = nil
		for i := range list {
			addr := list[(start+i)%len(list)]
			ask, cancel := context.WithTimeout(ctx, patience)
			err := c.Get(ask, addr, "/readyz", nil)
			cancel()
			if err == nil {
				return addr, nil
			}
			errs = append(errs, err)
		}
	}
	return "", fmt.Errorf("find an uploader that is ready: %w", errors.Join(errs...))
}

// send streams the multipart body with a known length: the form before the file and
// the boundary after it are made aside.
func (c *Cluster) send(ctx context.Context, prog *console.Progress, addr string, f *os.File, size int64, fields [][2]string) (wire.Accepted, error) {
	var acc wire.Accepted
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	for _, kv := range fields {
		if err := mw.WriteField(kv[0], kv[1]); err != nil {
			return acc, err
		}
	}
	if _, err := mw.CreateFormFile("video", filepath.Base(f.Name())); err != nil {
		return acc, err
	}
	head := bytes.Clone(form.Bytes())
	form.Reset()
	if err := mw.Close(); err != nil {
		return acc, err
	}
	tail := form.Bytes()
	task := prog.Task("upload", console.UnitBytes, size)
	counted := &countingReader{ctx: ctx, r: f, task: task, total: size}
	body := io.MultiReader(bytes.NewReader(head), counted, bytes.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+"/v1/upload", body)
	if err != nil {
		return acc, err
	}
	req.ContentLength = int64(len(head)) + size + int64(len(tail))
	req.Header.Set("Content-Type", mw.FormDataContentType())
	req.Header.Set("Expect", "100-continue")
	resp, err := c.web.Do(req)
	if err != nil {
		if counted.sent.Load() < size {
			task.Fail("connection to " + addr + " lost")
			return acc, fmt.Errorf("%w: %w: %w", vstack.ErrUnavailable, errCutOff, err)
		}
		// Everything was sent and the answer is lost: the uploader may be at work on it.
		task.Fail("answer of " + addr + " lost")
		return acc, console.Hint(fmt.Errorf("%w: %w", vstack.ErrUnavailable, err), "vstack video upload --resume %s", f.Name())
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		task.Fail(resp.Status)
		err := wire.ReadError(resp)
		if errors.Is(err, vstack.ErrUnavailable) || errors.Is(err, vstack.ErrTooManyUploads) {
			err = fmt.Errorf("%w: %w", errPassedOn, err)
		}
		return acc, err
	}
	task.End("received by " + addr)
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&acc); err != nil {
		return acc, fmt.Errorf("read answer of %s: %w", addr, err)
	}
	return acc, nil
}

// Job asks an uploader for a job.
func (c *Cluster) Job(ctx context.Context, addr string, id vstack.UploadID) (wire.Job, error) {
	var job wire.Job
	return job, c.Get(ctx, addr, "/v1/jobs/"+id.String(), &job)
}

// FollowJob shows a job until it ends. A short silence of the uploader is borne: one
// that was restarted goes on with its jobs. A job that waits for the cluster for a
// minute is left with the reason, while the uploader goes on trying.
func (c *Cluster) FollowJob(ctx context.Context, prog *console.Progress, addr string, id vstack.UploadID) (wire.Job, error) {
	return c.follow(ctx, prog, addr, id, heldPatience)
}

func (c *Cluster) follow(ctx context.Context, prog *console.Progress, addr string, id vstack.UploadID, patience time.Duration) (wire.Job, error) {
	task := prog.Task("store", console.UnitSeconds, 0)
	tick := time.NewTicker(pollJob)
	defer tick.Stop()
	heard := time.Now()
	var last wire.Job
	var held hold
	for {
		job, err := c.Job(ctx, addr, id)
		switch {
		case err != nil && (ctx.Err() != nil || time.Since(heard) > jobSilence || errors.Is(err, vstack.ErrNotFound)):
			task.Fail("lost")
			return last, fmt.Errorf("follow job at %s: %w", addr, err)
		case err == nil:
			heard, last = time.Now(), job
			task.Set(int64(1000*job.Position), int64(1000*job.Duration), jobText(job))
		}
		switch {
		case last.State == wire.JobPublished:
			task.End(fmt.Sprintf("%d chunks, %s", last.Chunks, console.Bytes(last.Bytes+last.Skipped)))
			return last, nil
		case last.State.Done():
			task.Fail(string(last.State))
			return last, jobError(last)
		case held.longer(last, task, patience):
			task.Fail("waits for the cluster")
			return last, jobError(last)
		}
		select {
		case <-ctx.Done():
			task.Fail("left")
			return last, fmt.Errorf("follow job at %s: %w", addr, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// hold follows whether a job waits for the cluster.
type hold struct {
	since  time.Time
	chunks int
}

// longer reports whether the job has said for longer than patience why no chunk of it
// is chosen, and tells people of it when it begins.
func (h *hold) longer(j wire.Job, task *console.Task, patience time.Duration) bool {
	if j.Error == nil || j.Chunks > h.chunks {
		h.since, h.chunks = time.Time{}, j.Chunks
		return false
	}
	if h.since.IsZero() {
		h.since = time.Now()
		task.Note(jobText(j))
	}
	return time.Since(h.since) > patience
}

func jobText(j wire.Job) string {
	text := fmt.Sprintf("%s, %d chunks", j.State, j.Chunks)
	if j.Error != nil {
		return text + ", waits: " + string(j.Error.Code) + " " + j.Error.Detail
	}
	if j.Speed > 0 {
		text += fmt.Sprintf(", %.1f×", j.Speed)
	}
	return text
}

func jobError(j wire.Job) error {
	if j.Error == nil {
		return fmt.Errorf("job %s is %s: %w", j.ID, j.State, vstack.ErrUnavailable)
	}
	return &wire.RemoteError{Problem: *j.Error, URL: "job " + j.ID}
}

// countingReader moves a task as bytes pass, and ends with the context.
type countingReader struct {
	ctx   context.Context
	r     io.Reader
	task  *console.Task
	sent  atomic.Int64 // the transport reads in a goroutine of its own
	total int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.task.Set(c.sent.Add(int64(n)), c.total, "")
	return n, err
}
