package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/cluster/deliver"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// sending is one call of Upload.
type sending struct {
	c      *Cluster
	prog   *console.Progress
	f      *os.File
	st     os.FileInfo
	file   string
	opt    UploadOptions
	memory memory

	begun remembered // what is under way
}

func (u *sending) run(ctx context.Context) (job wire.Job, err error) {
	if u.opt.Dedup {
		if job, ok, err := u.stored(ctx); ok || err != nil {
			return job, err
		}
	}
	if u.opt.Resume {
		if err := u.recall(ctx); err != nil {
			return job, err
		}
	}
	// A host that is lost for good costs one more round: the next host resumes the upload.
	for hosts := max(len(u.c.cfg.Uploaders), 2); ; hosts-- {
		if !u.atWork(ctx) {
			acc, err := u.deliver(ctx)
			if errors.Is(err, vstack.ErrNotMedia) { // nor is it another time
				u.memory.forget()
			}
			if err != nil {
				return job, u.advised(err)
			}
			if acc.Duplicate {
				u.memory.forget()
				return duplicate(acc.Video, u.opt.Title), nil
			}
			u.note(func(r *remembered) { r.Upload = acc.Upload })
		}
		if u.opt.NoWait {
			return u.c.Job(ctx, u.begun.Addr, u.begun.Upload)
		}
		job, err = u.c.follow(ctx, u.prog, u.begun.Addr, u.begun.Upload, u.opt.Patience, heldPatience)
		switch {
		case err == nil || job.State.Done():
			u.memory.forget()
			return job, err
		case !errors.Is(err, errJobLost) || errors.Is(err, vstack.ErrNotFound) || hosts == 1 || ctx.Err() != nil || u.opt.Uploader != "":
			return job, u.leftWith(job, err)
		}
		u.prog.Task("upload", console.UnitBytes, u.st.Size()).Fail(fmt.Sprintf("%s is lost; another host gets the file from its first byte", u.begun.Addr))
		u.note(func(r *remembered) { r.Addr, r.Part = "", "" })
	}
}

// leftWith says what helps a person whose job is left behind.
func (u *sending) leftWith(job wire.Job, err error) error {
	if errors.Is(err, context.Canceled) {
		return console.Left(err, fmt.Sprintf("the file is received, and host %s goes on storing it; to give it up: vstack video cancel %s", u.begun.Addr, u.begun.Upload),
			fmt.Sprintf("vstack video upload --resume %s; or watch it: vstack video jobs", u.file))
	}
	if job.Error != nil && !errors.Is(err, errJobLost) {
		return console.Hint(err, "vstack video ls --state uploading; the uploader at %s goes on by itself once the cluster can", u.begun.Addr)
	}
	return u.advised(err)
}

func (u *sending) advised(err error) error {
	if errors.Is(err, context.Canceled) {
		goes := "nothing of the file was sent"
		if u.begun.Addr != "" {
			goes = "nothing is sent any more; host " + u.begun.Addr + " keeps what it has of the file for a day"
		}
		return console.Left(err, goes, "vstack video upload --resume "+u.file)
	}
	if !deliver.MayPass(err) {
		return err
	}
	return console.Hint(err, "vstack video upload --resume %s", u.file)
}

// note writes down what is under way. A failure costs only a later --resume something.
func (u *sending) note(change func(r *remembered)) {
	change(&u.begun)
	if err := u.memory.save(u.begun); err != nil {
		u.c.logger.Warn("an upload is not remembered", "file", u.file, "err", err)
	}
}

// atWork says whether the upload has a job at a host that is known.
func (u *sending) atWork(ctx context.Context) bool {
	if u.begun.Upload.IsZero() || u.begun.Addr == "" {
		return false
	}
	job, err := u.c.Job(ctx, u.begun.Addr, u.begun.Upload)
	return deliver.MayPass(err) || err == nil && job.State != wire.JobFailed && job.State != wire.JobCanceled
}

// deliver has the file received by an uploader.
func (u *sending) deliver(ctx context.Context) (wire.Accepted, error) {
	fields := u.fields()
	d := &deliver.Delivery{To: u.c.uploaders(), Prog: u.prog, File: u.f, Size: u.st.Size(), Fields: fields, Only: u.opt.Uploader, Ticket: u.opt.Ticket, Patience: u.opt.Patience,
		Addr: u.begun.Addr, Part: u.begun.Part, Subtitles: u.opt.Subtitles,
		Begun: func(addr, part string) {
			u.note(func(r *remembered) {
				*r = remembered{Size: u.st.Size(), Modified: u.st.ModTime(), Addr: addr, Part: part, Upload: r.Upload,
					Title: u.opt.Title, Renditions: u.opt.Renditions, Class: cmp.Or(u.opt.Class, string(vstack.PolicyAuto)), KeepOriginal: u.opt.KeepOriginal, Visibility: u.opt.Visibility}
			})
		}}
	acc, err := d.Run(ctx)
	if errors.Is(err, deliver.ErrNoTus) && len(u.opt.Subtitles) == 0 { // an uploader of the version before
		if _, err := u.f.Seek(0, io.SeekStart); err != nil {
			return acc, err
		}
		u.note(func(r *remembered) { r.Addr, r.Part = d.Addr, "" })
		return d.SendForm(ctx)
	}
	return acc, err
}

// fields are the order; the first is the file's name, which a form has elsewhere.
func (u *sending) fields() [][2]string {
	if u.opt.Title == "" {
		u.opt.Title = titleOf(u.file)
	}
	fields := [][2]string{{"filename", filepath.Base(u.file)}, {"title", u.opt.Title}}
	if !u.begun.Upload.IsZero() {
		fields = append(fields, [2]string{"resume", u.begun.Upload.String()})
	}
	if u.opt.Class != "" {
		fields = append(fields, [2]string{"class", u.opt.Class})
	}
	if u.opt.KeepOriginal {
		fields = append(fields, [2]string{"keep_original", strconv.FormatBool(true)})
	}
	if u.opt.Visibility != "" {
		fields = append(fields, [2]string{"visibility", u.opt.Visibility})
	}
	if len(u.opt.Renditions) > 0 {
		fields = append(fields, [2]string{"renditions", strings.Join(u.opt.Renditions, ",")})
	}
	if u.opt.Dedup {
		fields = append(fields, [2]string{"dedup", strconv.FormatBool(true)})
	}
	return fields
}

// recall finds what a resume goes on with: what was written down, or else the open upload
// of the very same bytes, at the host that works on it. The options become those of the
// first attempt where they are known.
func (u *sending) recall(ctx context.Context) error {
	if r, ok := u.memory.load(u.st); ok {
		u.begun = r
		return u.opt.follow(r)
	}
	id, err := u.c.openUploadOf(ctx, u.prog, u.f, u.st.Size())
	if err != nil {
		return err
	}
	u.begun.Upload = id
	for _, addr := range u.c.cfg.Uploaders {
		ask, cancel := context.WithTimeout(ctx, deliver.AskPatience[0])
		job, err := u.c.Job(ask, addr, id)
		cancel()
		if err != nil || job.State.Done() {
			continue
		}
		u.begun.Addr = addr
		return u.opt.follow(remembered{Title: job.Title, Renditions: job.Renditions, Class: string(job.Class), KeepOriginal: job.KeepOriginal, Visibility: string(job.Visibility)})
	}
	return nil
}

// stored finds a published video of the very same bytes.
func (u *sending) stored(ctx context.Context) (job wire.Job, ok bool, err error) {
	sum, err := hashFile(ctx, u.prog, u.f, u.st.Size())
	if err != nil {
		return job, false, err
	}
	list, err := u.c.Meta.Uploads(ctx, metaclient.UploadFilter{State: vstack.UploadPublished, SourceSHA256: sum})
	if err != nil {
		return job, false, err
	}
	for _, up := range list {
		v, err := u.c.Meta.Video(ctx, up.Video)
		switch {
		case err == nil && v.State == vstack.VideoPublished:
			return duplicate(v.ID, v.Title), true, nil
		case err != nil && !errors.Is(err, vstack.ErrNotFound):
			return job, false, err
		}
	}
	return job, false, nil
}

// duplicate is the job of a file that is stored already.
func duplicate(v vstack.VideoID, title string) wire.Job {
	now := time.Now().UTC()
	return wire.Job{Video: v, Title: title, State: wire.JobPublished, Started: now, Updated: now,
		Warnings: []string{"the same file is stored already; nothing was stored again"}}
}
