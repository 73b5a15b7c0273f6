package uploader

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// levelled has the uploader keep manifests of version 2, and open uploads without a hash.
type levelled struct{ *cluster }

func (levelled) Level() vstack.Level { return vstack.NewestLevel }

// startEarly is a host that cuts early.
func startEarly(t *testing.T, c *cluster, dir string, from int64) *host {
	return startHost(t, c, dir, func(cfg *Config) { cfg.Catalog, cfg.EarlyFrom = levelled{c}, from })
}

// forwardClips are kinds that are cut while they arrive.
var forwardClips = map[string][]string{
	"forward.mp4":    {"-movflags", "+faststart"},
	"fragmented.mp4": {"-movflags", "+frag_keyframe+empty_moov+default_base_moof"},
	"forward.mkv":    {},
	"forward.ts":     {},
}

// forward makes one of forwardClips of the large clip.
func forward(t *testing.T, name string) []byte {
	t.Helper()
	recipes[name] = append([]string{"-i", clip(t, "large.mp4"), "-c", "copy"}, forwardClips[name]...)
	data, err := os.ReadFile(clip(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// published is the manifest without what names the video.
func published(t *testing.T, c *cluster, v vstack.VideoID) vstack.Manifest {
	t.Helper()
	m, ok := c.manifest(v)
	if !ok {
		t.Fatal("not published")
	}
	m.Video = vstack.VideoID{}
	return m
}

// wholeCut uploads a file to a host that cuts nothing early, and returns what it makes of it.
func wholeCut(t *testing.T, name string, fields ...field) vstack.Manifest {
	t.Helper()
	c := newCluster()
	h := startEarly(t, c, t.TempDir(), -1)
	acc := h.upload(t, clip(t, name), fields...)
	h.finished(t, acc.Upload, wire.JobPublished)
	return published(t, c, acc.Video)
}

func TestChunksAreChosenWhileTheFileArrives(t *testing.T) {
	for name := range forwardClips {
		t.Run(name, func(t *testing.T) {
			data := forward(t, name)
			want := wholeCut(t, name, field{"keep_original", "true"})
			c := newCluster()
			h := startEarly(t, c, t.TempDir(), 1<<20)
			path := h.created(t, len(data), map[string]string{"filename": name, "keep_original": "true"})
			half := len(data) * 2 / 3
			if resp, out := h.patch(t, path, 0, data[:half]); resp.StatusCode != http.StatusNoContent {
				t.Fatalf("%d %s", resp.StatusCode, out)
			}
			waitFor(t, "chunks are chosen of what is there", func() bool { return c.sent() > 3 })
			before := c.sends()
			id := h.accepted(t, path, half, data[half:])
			j := h.finished(t, id, wire.JobPublished)
			if got := published(t, c, j.Video); !reflect.DeepEqual(got, want) {
				t.Errorf("another manifest than of the whole file:\n%+v\n%+v", got, want)
			}
			for slot, n := range c.sends() {
				if n != 1 {
					t.Errorf("slot %s was sent %d times", slot, n)
				}
				if slot.Track > 100 && slot.Track != vstack.MaxTracks {
					t.Errorf("slot %s is of a second cut", slot)
				}
			}
			if len(before) == 0 || j.Resumed != 0 || j.Source.SHA256 != vstack.ChunkIDOf(data) || j.Source.Size != int64(len(data)) {
				t.Errorf("%d early, %+v", len(before), j)
			}
			if len(c.all()) != 1 {
				t.Errorf("%d uploads", len(c.all()))
			}
		})
	}
}

// sentHalf is a film in one body, of which half has come.
type sentHalf struct {
	part     io.Writer
	form     *multipart.Writer
	body     *io.PipeWriter
	answered <-chan *http.Response // nil without an answer; its body is closed
}

// sentHalf returns once chunks are chosen of the half that is there.
func (h *host) sentHalf(t *testing.T, c *cluster, data []byte) sentHalf {
	t.Helper()
	r, w := io.Pipe()
	form, answered := multipart.NewWriter(w), make(chan *http.Response, 1)
	go func() {
		resp, err := h.client.Post(h.base+"/upload", form.FormDataContentType(), r)
		if err == nil {
			resp.Body.Close()
		}
		answered <- resp
	}()
	part, err := form.CreateFormFile("video", "forward.mp4")
	if err == nil {
		_, err = part.Write(data[:len(data)/2])
	}
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "chunks are chosen of what is there", func() bool { return c.sent() > 0 })
	return sentHalf{part, form, w, answered}
}

func TestAFileInOneBodyIsCutWhileItArrives(t *testing.T) {
	data := forward(t, "forward.mp4")
	want := wholeCut(t, "forward.mp4")
	c := newCluster()
	h := startEarly(t, c, t.TempDir(), 1<<20)
	half := h.sentHalf(t, c, data)
	if _, err := half.part.Write(data[len(data)/2:]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(half.form.Close(), half.body.Close()); err != nil {
		t.Fatal(err)
	}
	if resp := <-half.answered; resp == nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("answered with %v", resp)
	}
	up := c.all()[0]
	h.finished(t, up.ID, wire.JobPublished)
	if got := published(t, c, up.Video); !reflect.DeepEqual(got, want) {
		t.Error("another manifest than of the whole file")
	}
}

// begunUpload has two thirds of a file arrive, and chunks of it chosen.
func begunUpload(t *testing.T, c *cluster, h *host, data []byte) (path string, at int) {
	t.Helper()
	path, at = h.created(t, len(data), map[string]string{"filename": "film.mp4"}), len(data)*2/3
	if resp, out := h.patch(t, path, 0, data[:at]); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", resp.StatusCode, out)
	}
	waitFor(t, "chunks are chosen of what is there", func() bool { return c.sent() > 3 })
	return path, at
}

func TestAHostThatStartsAgainGoesOnWithWhatWasCutEarly(t *testing.T) {
	data, want := forward(t, "forward.mp4"), wholeCut(t, "forward.mp4")
	// Whether or not the rest is large enough to begin a cut of its own.
	for _, from := range []int64{1 << 40, 1 << 20} {
		goesOn(t, data, want, from)
	}
}

func goesOn(t *testing.T, data []byte, want vstack.Manifest, from int64) {
	t.Helper()
	c, dir := newCluster(), t.TempDir()
	h := startEarly(t, c, dir, 1<<20)
	path, at := begunUpload(t, c, h, data)
	h.stop()
	before := c.sends()
	h = startEarly(t, c, dir, from)
	id := h.accepted(t, path, at, data[at:])
	j := h.finished(t, id, wire.JobPublished)
	if got := published(t, c, j.Video); !reflect.DeepEqual(got, want) {
		t.Error("another manifest than of the whole file")
	}
	for slot := range before {
		if n := c.sends()[slot]; n != 1 {
			t.Errorf("slot %s was sent %d times", slot, n)
		}
	}
	if j.Reused < len(before)-1 || len(c.all()) != 1 {
		t.Errorf("%d reused of %d, %d uploads", j.Reused, len(before), len(c.all()))
	}
}

func TestWhatIsNotAcceptedIsAborted(t *testing.T) {
	data := forward(t, "forward.mp4")
	short := data[:len(data)-100] // its last box goes on after its end
	for name, end := range map[string]func(t *testing.T, c *cluster, h *host, path string, at int){
		"given up": func(t *testing.T, c *cluster, h *host, path string, at int) {
			if resp, out := h.tus(t, http.MethodDelete, path, nil, nil); resp.StatusCode != http.StatusNoContent {
				t.Fatalf("%d %s", resp.StatusCode, out)
			}
		},
		"given up after a restart": func(t *testing.T, c *cluster, h *host, path string, at int) {
			h.stop()
			h = startEarly(t, c, h.cfg.Dir, 1<<40)
			if resp, out := h.tus(t, http.MethodDelete, path, nil, nil); resp.StatusCode != http.StatusNoContent {
				t.Fatalf("%d %s", resp.StatusCode, out)
			}
		},
		"refused": func(t *testing.T, c *cluster, h *host, path string, at int) {
			resp, out := h.patch(t, path, at, short[at:])
			problemIn(t, resp, out, vstack.ErrTruncated)
		},
		"too old": func(t *testing.T, c *cluster, h *host, path string, at int) {
			h.stop()
			startHost(t, c, h.cfg.Dir, func(cfg *Config) { cfg.Catalog, cfg.KeepParts = levelled{c}, time.Nanosecond })
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster()
			h := startEarly(t, c, t.TempDir(), 1<<20)
			path, at := begunUpload(t, c, h, short)
			end(t, c, h, path, at)
			waitFor(t, "the upload is aborted", func() bool { return c.states()[0] == vstack.UploadAborted })
			if len(c.all()) != 1 {
				t.Errorf("%d uploads", len(c.all()))
			}
		})
	}
}

func TestABodyThatBreaksOffAbortsWhatWasCutEarly(t *testing.T) {
	data := forward(t, "forward.mp4")
	for _, killed := range []bool{false, true} {
		c, dir := newCluster(), t.TempDir()
		h := startEarly(t, c, dir, 1<<20)
		half := h.sentHalf(t, c, data)
		if killed { // what a process that is killed leaves in the spool
			if err := os.CopyFS(dir+"2", os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
		}
		half.body.CloseWithError(io.ErrUnexpectedEOF)
		<-half.answered
		if killed {
			c.mu.Lock()
			for id, up := range c.uploads {
				up.State = vstack.UploadOpen
				c.uploads[id] = up
			}
			c.mu.Unlock()
			h.stop()
			h = startEarly(t, c, dir+"2", 1<<20)
		}
		waitFor(t, "the upload is aborted", func() bool { return c.states()[0] == vstack.UploadAborted })
		waitFor(t, "the part is gone", func() bool {
			left, _ := filepath.Glob(filepath.Join(h.cfg.Dir, "incoming", "*"))
			return len(left) == 0
		})
		h.stop()
	}
}

func TestAHeadThatLiesIsCutAnew(t *testing.T) {
	data := forward(t, "forward.mp4")
	// A second index behind the samples: who reads forward takes the first.
	liar := append(bytes.Clone(data), 0, 0, 0, 16, 'u', 'd', 't', 'a', 0, 0, 0, 8, 'f', 'r', 'e', 'e')
	file := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(file, liar, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := newCluster()
	h := startEarly(t, plain, t.TempDir(), -1)
	acc := h.upload(t, file)
	h.finished(t, acc.Upload, wire.JobPublished)
	want := published(t, plain, acc.Video)

	c := newCluster()
	h = startEarly(t, c, t.TempDir(), 1<<20)
	path, at := begunUpload(t, c, h, liar)
	resp, out := h.patch(t, path, at, liar[at:])
	id, err := vstack.ParseUploadID(resp.Header.Get(wire.HeaderUpload))
	if err != nil {
		t.Fatalf("%d %s", resp.StatusCode, out)
	}
	j := h.finished(t, id, wire.JobPublished)
	if got := published(t, c, j.Video); !reflect.DeepEqual(got, want) || j.Resumed != 1 {
		t.Errorf("another manifest than of the whole file, resumed %d times", j.Resumed)
	}
}

func TestADuplicateThatWasCutEarlyDoesNotShow(t *testing.T) {
	data := forward(t, "forward.mp4")
	c := newCluster()
	h := startEarly(t, c, t.TempDir(), 1<<20)
	first := h.upload(t, clip(t, "forward.mp4"))
	h.finished(t, first.Upload, wire.JobPublished)
	up := c.upload(first.Upload)
	if up.Source.SHA256 != vstack.ChunkIDOf(data) {
		t.Fatalf("published with the hash %s", up.Source.SHA256)
	}
	sent := c.sent()
	path := h.created(t, len(data), map[string]string{"filename": "film.mp4", "dedup": "true"})
	if resp, out := h.patch(t, path, 0, data[:len(data)*2/3]); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", resp.StatusCode, out)
	}
	waitFor(t, "chunks are chosen of what is there", func() bool { return c.sent() > sent })
	resp, _ := h.patch(t, path, len(data)*2/3, data[len(data)*2/3:])
	if resp.Header.Get(wire.HeaderDuplicate) != "true" || resp.Header.Get(wire.HeaderVideo) != first.Video.String() {
		t.Errorf("answered %v", resp.Header)
	}
	for _, up := range c.all() {
		if up.ID != first.Upload && up.State != vstack.UploadAborted {
			t.Errorf("upload %s is %s", up.ID, up.State)
		}
	}
}
