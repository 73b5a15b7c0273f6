package uploader

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/progress"
)

// stuckAfter lets n commits through and holds the others until the test ends or open
// is called; reached is closed when the first one is held.
func stuckAfter(t *testing.T, c *cluster, n int64) (reached chan struct{}, open func()) {
	t.Helper()
	reached, hold := make(chan struct{}), make(chan struct{})
	var count atomic.Int64
	c.setGate(func(vstack.Slot) error {
		k := count.Add(1)
		if k == n+1 {
			close(reached)
		}
		if k > n {
			<-hold
			return fmt.Errorf("gate: %w", vstack.ErrUnavailable)
		}
		return nil
	})
	done := false
	open = func() {
		if !done {
			done = true
			c.setGate(nil)
			close(hold)
		}
	}
	t.Cleanup(open)
	return reached, open
}

// wholeManifest wants a published video whose tracks are what one undisturbed upload of
// the same file gives.
func wholeManifest(t *testing.T, c *cluster, video vstack.VideoID, file string) {
	t.Helper()
	clean := newCluster()
	h := startHost(t, clean, t.TempDir(), nil)
	acc := h.upload(t, file)
	h.finished(t, acc.Upload, wire.JobPublished)
	want, _ := clean.manifest(acc.Video)
	got, ok := c.manifest(video)
	if !ok || len(got.Tracks) != len(want.Tracks) {
		t.Fatalf("manifest: %v, %d tracks, want %d", ok, len(got.Tracks), len(want.Tracks))
	}
	for i := range want.Tracks {
		if !reflect.DeepEqual(got.Tracks[i].Chunks, want.Tracks[i].Chunks) || !reflect.DeepEqual(got.Tracks[i].Init, want.Tracks[i].Init) {
			t.Errorf("track %d differs from an undisturbed upload", i)
		}
	}
}

func TestRestartedUploaderFinishesItsJobWithoutSendingChosenChunksAgain(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	reached, open := stuckAfter(t, c, 4)
	h := startHost(t, c, dir, nil)
	file := clip(t, "large.mp4")
	acc := h.upload(t, file)
	<-reached
	waitFor(t, "four chunks are chosen", func() bool { return c.sent() == 4 })
	stopped := make(chan struct{})
	go func() { h.stop(); close(stopped) }()
	<-h.Server.ctx.Done() // the job is being interrupted; now its commits may fail
	open()
	<-stopped
	before := c.sent()

	again := startHost(t, c, dir, nil)
	j := again.finished(t, acc.Upload, wire.JobPublished)
	if j.Reused != 4 || j.Resumed != 1 || j.Skipped == 0 {
		t.Errorf("reused %d, resumed %d, skipped %d", j.Reused, j.Resumed, j.Skipped)
	}
	if sent := c.sent() - before; sent != j.Chunks-4 {
		t.Errorf("%d chunks sent after the restart, want %d", sent, j.Chunks-4)
	}
	for slot, n := range c.sends() {
		if n != 1 {
			t.Errorf("slot %s was sent %d times", slot, n)
		}
	}
	wholeManifest(t, c, acc.Video, file)
	wantEmptySpool(t, dir)
	// The ballots of both incarnations are of no more use to anybody.
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.forgotten) != 2 || c.incarnation != 2 {
		t.Errorf("%d of %d incarnations were ended", len(c.forgotten), c.incarnation)
	}
}

func TestAnotherUploaderTakesOverAndTheFirstIsFenced(t *testing.T) {
	c, dir1, dir2 := newCluster(), t.TempDir(), t.TempDir()
	reached, open := stuckAfter(t, c, 3)
	first := startHost(t, c, dir1, nil)
	file := clip(t, "large.mp4")
	acc := first.upload(t, file)
	<-reached
	waitFor(t, "three chunks are chosen", func() bool { return c.sent() == 3 })

	second := startHost(t, c, dir2, nil)
	b, kind := body(t, clip(t, "h264.mp4"), field{"resume", acc.Upload.String()})
	second.refused(t, vstack.ErrInvalid, kind, b) // another file
	taken := second.upload(t, file, field{"resume", acc.Upload.String()})
	if taken.Video != acc.Video || taken.Upload != acc.Upload {
		t.Errorf("took over %+v, want %+v", taken, acc)
	}
	open()
	j := second.finished(t, acc.Upload, wire.JobPublished)
	if j.Reused != 3 || j.Resumed != 1 {
		t.Errorf("reused %d, resumed %d", j.Reused, j.Resumed)
	}
	lost := first.finished(t, acc.Upload, wire.JobFailed)
	if lost.Error == nil || lost.Error.Code != vstack.ErrFenced.Code() && lost.Error.Code != vstack.ErrUploadNotLive.Code() {
		t.Errorf("first uploader: %+v", lost.Error)
	}
	if s := c.states(); len(s) != 1 || s[0] != vstack.UploadPublished {
		t.Errorf("uploads: %v", s)
	}
	wholeManifest(t, c, acc.Video, file)
	wantEmptySpool(t, dir1)
	wantEmptySpool(t, dir2)
}

func TestRestartedUploaderLeavesAnUploadThatAnotherHasTaken(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	reached, open := stuckAfter(t, c, 1)
	h := startHost(t, c, dir, nil)
	acc := h.upload(t, clip(t, "h264.mp4"))
	<-reached
	stopped := make(chan struct{})
	go func() { h.stop(); close(stopped) }()
	<-h.Server.ctx.Done()
	open()
	<-stopped
	other, err := c.ResumeUpload(t.Context(), acc.Upload, wire.ResumeUploadRequest{Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		t.Fatal(err)
	}
	again := startHost(t, c, dir, nil)
	j := again.finished(t, acc.Upload, wire.JobFailed)
	if j.Error == nil || j.Error.Code != vstack.ErrFenced.Code() {
		t.Errorf("error: %+v", j.Error)
	}
	if up := c.upload(acc.Upload); up != other {
		t.Errorf("upload %+v, want it as the other process has it", up)
	}
	wantEmptySpool(t, dir)
}

func TestSlotsOfAnotherCutAreLeftAndTheFileIsCutAnew(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	file := clip(t, "h264.mp4")
	up, err := c.OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "t", Owner: vstack.ProposerID(uuid.New()), Source: sourceOf(t, file)})
	if err != nil {
		t.Fatal(err)
	}
	alien := vstack.Slot{Video: up.Video, Track: 2, Seq: 1}
	if _, err := c.Commit(t.Context(), up, alien, []byte("cut by another version")); err != nil {
		t.Fatal(err)
	}
	h.upload(t, file, field{"resume", up.ID.String()}, field{"keep_original", "true"})
	h.finished(t, up.ID, wire.JobPublished)
	freshTracks(t, c, up.Video, file)
	wantEmptySpool(t, dir)
}

// freshTracks wants a video whose tracks are numbered anew and hold what one undisturbed
// upload of the same file gives.
func freshTracks(t *testing.T, c *cluster, video vstack.VideoID, file string) {
	t.Helper()
	m, _ := c.manifest(video)
	for i := range m.Tracks {
		if m.Tracks[i].Number <= baseStep || m.Tracks[i].Number >= 2*baseStep {
			t.Errorf("track %d is not a fresh one", m.Tracks[i].Number)
		}
		m.Tracks[i].Number -= baseStep
	}
	m.Tracks = slices.DeleteFunc(m.Tracks, func(t vstack.Track) bool { return t.Kind == vstack.TrackOriginal })
	c.mu.Lock()
	c.manifests[video] = m
	c.mu.Unlock()
	wholeManifest(t, c, video, file)
}

func TestAJobOfAnotherCutGoesOnUnderFreshTrackNumbers(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	reached, open := stuckAfter(t, c, 3)
	h := startHost(t, c, dir, nil)
	file := clip(t, "large.mp4")
	acc := h.upload(t, file)
	<-reached
	waitFor(t, "three chunks are chosen", func() bool { return c.sent() == 3 })
	stopped := make(chan struct{})
	go func() { h.stop(); close(stopped) }()
	<-h.Server.ctx.Done()
	open()
	<-stopped
	path := filepath.Join(dir, "jobs", acc.Upload.String(), "job.json")
	edit(t, path, func(r *progress.Record) {
		if r.Cut != h.cut {
			t.Errorf("job.json says %q, want the version %q of the cut", r.Cut, h.cut)
		}
		r.Cut = "1, ffmpeg version of old"
	})
	again := startHost(t, c, dir, nil)
	if j := again.finished(t, acc.Upload, wire.JobPublished); j.Reused != 0 {
		t.Errorf("reused %d chunks of another cut", j.Reused)
	}
	freshTracks(t, c, acc.Video, file)
	wantEmptySpool(t, dir)
}

// edit changes a job's state on the disk.
func edit(t *testing.T, path string, change func(*progress.Record)) {
	t.Helper()
	box, err := sealed.NewBox(testKey)
	if err != nil {
		t.Fatal(err)
	}
	about := []byte("spool job.json")
	b, err := box.ReadFile(vfs.OS{}, path, about, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := progress.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	change(&rec)
	if b, err = progress.Encode(rec); err != nil {
		t.Fatal(err)
	}
	if err := box.WriteFile(vfs.OS{}, path, b, about, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestClusterOutOfReachInterruptsAndHealsTheJob(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	c.setGate(func(vstack.Slot) error { return fmt.Errorf("gate: %w", vstack.ErrNoQuorum) })
	h := startHost(t, c, dir, func(cfg *Config) { cfg.CommitTimeout = 200 * time.Millisecond })
	acc := h.upload(t, clip(t, "h264.mp4"))
	waitFor(t, "the job is interrupted a second time", func() bool {
		j := h.job(t, acc.Upload, "")
		return j.State == wire.JobInterrupted && j.Error != nil && j.Error.Code == vstack.ErrNoQuorum.Code() && j.Resumed > 0
	})
	c.setGate(nil)
	h.finished(t, acc.Upload, wire.JobPublished)
	wholeManifest(t, c, acc.Video, clip(t, "h264.mp4"))
	wantEmptySpool(t, dir)
}

func TestAJobSaysWhatItWaitsForWhileItTries(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	var tries atomic.Int64
	c.setGate(func(vstack.Slot) error {
		if tries.Add(1)%3 == 1 { // in attempt after attempt: a slow test may miss the first ones
			return fmt.Errorf("gate: %w", vstack.ErrNoQuorum)
		}
		return context.DeadlineExceeded // the try was cut off; it says nothing about the cluster
	})
	h := startHost(t, c, dir, func(cfg *Config) { cfg.CommitTimeout, cfg.InFlight = 300*time.Millisecond, 1 })
	acc := h.upload(t, clip(t, "h264.mp4"))
	for _, state := range []wire.JobState{wire.JobRunning, wire.JobInterrupted} {
		waitFor(t, "the job is "+string(state)+" and says NO_QUORUM", func() bool {
			j := h.job(t, acc.Upload, "")
			return j.State == state && j.Error != nil && j.Error.Code == vstack.ErrNoQuorum.Code()
		})
	}
	c.setGate(nil)
	if j := h.finished(t, acc.Upload, wire.JobPublished); j.Error != nil {
		t.Errorf("published with the error %+v", j.Error)
	}
}

func TestPublishWithALostAnswerCountsAsPublished(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	c.publishGate = func() error { return fmt.Errorf("answer lost: %w", vstack.ErrOutcomeUnknown) }
	h := startHost(t, c, dir, nil)
	acc := h.upload(t, clip(t, "h264.mp4"))
	h.finished(t, acc.Upload, wire.JobPublished)
	wantEmptySpool(t, dir)
}

func TestCanceledJobAbortsItsUpload(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	reached, open := stuckAfter(t, c, 1)
	h := startHost(t, c, dir, nil)
	acc := h.upload(t, clip(t, "large.mp4"))
	<-reached
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, h.base+"/v1/jobs/"+acc.Upload.String(), nil)
	answer := make(chan wire.Job, 1)
	go func() {
		var j wire.Job
		if resp, err := h.client.Do(req); err == nil {
			json.NewDecoder(resp.Body).Decode(&j)
			resp.Body.Close()
		}
		answer <- j
	}()
	j, _, _ := h.find(acc.Upload)
	<-j.ctx.Done() // the cancel has arrived
	open()
	if j := <-answer; j.State != wire.JobCanceled || j.Error == nil || j.Error.Code != vstack.ErrCanceled.Code() {
		t.Errorf("canceled job: %+v", j)
	}
	if up := c.upload(acc.Upload); up.State != vstack.UploadAborted {
		t.Errorf("upload is %s", up.State)
	}
	wantEmptySpool(t, dir)
}

func TestEndedJobsAreKnownAfterARestart(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	acc := h.upload(t, clip(t, "h264.mp4"))
	h.finished(t, acc.Upload, wire.JobPublished)
	h.stop()
	again := startHost(t, c, dir, nil)
	if j := again.job(t, acc.Upload, ""); j.State != wire.JobPublished || j.Chunks == 0 {
		t.Errorf("job after restart: %+v", j)
	}
}

func TestOneSpoolHasOneProcess(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	cfg := h.cfg
	cfg.Registry = nil
	if s, err := Open(t.Context(), cfg); err == nil {
		s.Close()
		t.Error("a second process opened the spool")
	}
}

func sourceOf(t *testing.T, file string) vstack.Source {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return vstack.Source{Name: filepath.Base(file), Size: int64(len(data)), SHA256: vstack.ChunkIDOf(data)}
}
