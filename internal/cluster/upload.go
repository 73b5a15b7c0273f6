package cluster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// UploadOptions are the form fields of POST /v1/upload besides the file, and how to go
// about it.
type UploadOptions struct {
	Title        string   // default: the file's name
	Renditions   []string // default: the source only
	Class        string   // auto, hot or cold; default auto
	KeepOriginal bool
	Visibility   string   // public, unlisted or private; default public
	Subtitles    []string // files, each with ":LANGUAGE" behind it where that is known
	Dedup        bool     // where a video of the same bytes exists, that one
	Resume       bool     // go on with the open upload of the same file
	NoWait       bool     // return once the file was received
	Uploader     string   // HOST:PORT; default any that is ready
	Ticket       string   // the right to upload, for whom the bundle's certificate gives none
	// Patience is how long a host that has a part of the file, or its job, may be silent
	// before another one gets it from its first byte. Default 2 min.
	Patience time.Duration
	// Memory is a directory where what is under way is written down for a later Resume.
	// Empty: nothing is.
	Memory string
}

// Upload sends one file and, unless told otherwise, follows its job to the end. A host
// that dies on the way is waited for, and replaced when it stays away.
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
	opt.Patience = cmp.Or(opt.Patience, hostPatience)
	u := &sending{c: c, prog: prog, f: f, st: st, file: file, opt: opt, memory: c.memoryOf(opt.Memory, file)}
	return u.run(ctx)
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

// askPatience is how long each round of asking waits for one uploader: a dead host costs
// little, and one that is only busy is not given up.
var askPatience = [...]time.Duration{2 * time.Second, 15 * time.Second}

// readyUploader picks one that answers /readyz, starting anywhere so that many people
// do not all pick the first. One that was lost comes last: it may be ready and yet lose
// every file.
func (c *Cluster) readyUploader(ctx context.Context, only, lost string) (string, error) {
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
		for _, addr := range inTurn(list, start, lost) {
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

// inTurn is the list from start on, with last at its end.
func inTurn(list []string, start int, last string) []string {
	out := slices.Concat(list[start:], list[:start])
	slices.SortStableFunc(out, func(a, b string) int {
		switch {
		case a == last && b != last:
			return 1
		case b == last && a != last:
			return -1
		}
		return 0
	})
	return out
}

// present shows a ticket, if there is one.
func present(req *http.Request, ticket string) {
	if ticket != "" {
		req.Header.Set("Authorization", "Bearer "+ticket)
	}
}

// sendForm is for uploaders from before resumable uploads: it streams the multipart body with a known length: the form before the file and
// the boundary after it are made aside.
func (c *Cluster) sendForm(ctx context.Context, prog *console.Progress, addr string, f *os.File, size int64, fields [][2]string, ticket string) (wire.Accepted, error) {
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
	present(req, ticket)
	resp, err := c.films.Do(req)
	if err != nil {
		// Where everything was sent the answer is lost: the uploader may be at work on it.
		task.Fail("connection to " + addr + " lost")
		return acc, console.Hint(err, "vstack video upload --resume %s", f.Name())
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
	return acc, httpclient.Decode(resp, &acc)
}
