package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/vstack/vstack/internal/cluster/deliver"
	"github.com/vstack/vstack/internal/cluster/pace"
	"github.com/vstack/vstack/internal/console"
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

// uploaders are those of the bundle, as files are sent to them.
func (c *Cluster) uploaders() deliver.Uploaders {
	return deliver.Uploaders{Addrs: c.cfg.Uploaders, Web: c.web, Films: c.films}
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
	if _, err := io.Copy(h, pace.NewReader(ctx, f, task, 0, size)); err != nil {
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
