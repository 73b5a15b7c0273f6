package uploader

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// host is one uploader process of a test.
type host struct {
	*Server
	cfg    Config
	client *http.Client
	base   string
	stop   func()
}

// startHost opens and runs an uploader. change may alter its Config.
func startHost(t testing.TB, c *cluster, dir string, change func(*Config)) *host {
	t.Helper()
	id := newIdentity(t)
	cfg := Config{Addr: "127.0.0.1:0", Dir: dir, Key: testKey, Identity: id, Catalog: c, Chunks: c, RetryWait: 10 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&cfg)
	}
	clip(t, "h264.mp4") // skips where there is no ffmpeg
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: id.pool}, ForceAttemptHTTP2: true}
	stopped := false
	h := &host{Server: s, cfg: cfg, client: &http.Client{Transport: tr}, base: "https://" + s.Addr()}
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		tr.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(h.stop)
	return h
}

type field struct{ name, value string }

// body makes a multipart body with a file last.
func body(t testing.TB, file string, fields ...field) (*bytes.Buffer, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if err := w.WriteField(f.name, f.value); err != nil {
			t.Fatal(err)
		}
	}
	if file != "" {
		part, err := w.CreateFormFile("video", filepath.Base(file))
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		part.Write(data)
	}
	w.Close()
	return &b, w.FormDataContentType()
}

func (h *host) post(t testing.TB, kind string, b io.Reader) (int, []byte) {
	t.Helper()
	resp, err := h.client.Post(h.base+"/upload", kind, b)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out
}

// upload posts a file and wants 202.
func (h *host) upload(t testing.TB, file string, fields ...field) wire.Accepted {
	t.Helper()
	b, kind := body(t, file, fields...)
	status, out := h.post(t, kind, b)
	if status != http.StatusAccepted {
		t.Fatalf("upload %s: %d %s", file, status, out)
	}
	var acc wire.Accepted
	if err := json.Unmarshal(out, &acc); err != nil {
		t.Fatal(err)
	}
	return acc
}

// refused posts a body and wants a problem with a code.
func (h *host) refused(t testing.TB, want *vstack.Sentinel, kind string, b io.Reader) wire.Problem {
	t.Helper()
	status, out := h.post(t, kind, b)
	var p wire.Problem
	if err := json.Unmarshal(out, &p); err != nil || p.Code != want.Code() || status != p.Status {
		t.Fatalf("got %d %s, want %s", status, out, want.Code())
	}
	return p
}

func (h *host) job(t testing.TB, id vstack.UploadID, wait string) wire.Job {
	t.Helper()
	resp, err := h.client.Get(h.base + "/v1/jobs/" + id.String() + wait)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var j wire.Job
	if err := json.NewDecoder(resp.Body).Decode(&j); err != nil {
		t.Fatal(err)
	}
	return j
}

// finished waits until a job has ended, and wants that end.
func (h *host) finished(t testing.TB, id vstack.UploadID, want wire.JobState) wire.Job {
	t.Helper()
	j := h.job(t, id, "?wait=60")
	if j.State != want {
		t.Fatalf("job ended as %s (%+v), want %s", j.State, j.Error, want)
	}
	return j
}

// files lists what the spool holds beside the states of ended jobs.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone while we looked
		}
		rel, _ := filepath.Rel(dir, p)
		switch rel {
		case ".", "lock", "incoming", "jobs", "done", "texts":
			return err
		}
		if !strings.HasPrefix(rel, "done/") {
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantEmptySpool(t testing.TB, dir string) {
	t.Helper()
	waitFor(t, "the spool is empty", func() bool { return len(files(t, dir)) == 0 })
}

func TestUploadIsPublishedWithItsOriginal(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	file := clip(t, "h264.mp4")
	acc := h.upload(t, file, field{"title", "Ein Titel"}, field{"keep_original", "true"}, field{"class", "hot"})
	j := h.finished(t, acc.Upload, wire.JobPublished)
	if j.Title != "Ein Titel" || j.Video != acc.Video || j.Chunks < 5 || j.Reused != 0 {
		t.Errorf("job: %+v", j)
	}
	m, ok := c.manifest(acc.Video)
	if !ok || len(m.Tracks) != 3 {
		t.Fatalf("manifest: %v %+v", ok, m)
	}
	if m.Duration < 2.95 || m.Duration > 3.08 {
		t.Errorf("duration %.3f, want 3", m.Duration)
	}
	v, a, o := m.Tracks[0], m.Tracks[1], m.Tracks[2]
	if v.Kind != vstack.TrackVideo || !v.Copied || !strings.HasPrefix(v.Codec, "avc1.") || v.Width != 320 || v.Height != 180 || v.FrameRate != 25 || !v.Chunks[0].Keyframe {
		t.Errorf("video track: %+v", v)
	}
	if a.Kind != vstack.TrackAudio || !a.Copied || a.Codec != "mp4a.40.2" || a.SampleRate != 44100 || a.Chunks[0].Start != 0 {
		t.Errorf("audio track: %+v", a)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if o.Kind != vstack.TrackOriginal || !bytes.Equal(c.bytesOf(o), data) {
		t.Error("the original's bytes differ")
	}
	if up := c.upload(acc.Upload); up.Source.SHA256 != sha256.Sum256(data) || up.Source.Name != "h264.mp4" || up.Source.Container == "" {
		t.Errorf("source: %+v", up.Source)
	}
	wantEmptySpool(t, dir)
}

func TestTwelveUploadsAtOnceWaitTheirTurn(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, func(cfg *Config) { cfg.InFlight = 2 })
	file := clip(t, "h264.mp4")
	type out struct {
		status int
		acc    wire.Accepted
	}
	outs := make(chan out, 12)
	for range 12 {
		b, kind := body(t, file)
		go func() {
			var o out
			resp, err := h.client.Post(h.base+"/upload", kind, b)
			if err == nil {
				o.status = resp.StatusCode
				json.NewDecoder(resp.Body).Decode(&o.acc)
				resp.Body.Close()
			}
			outs <- o
		}()
	}
	for range 12 {
		o := <-outs
		if o.status != http.StatusAccepted {
			t.Fatalf("status %d", o.status)
		}
		h.finished(t, o.acc.Upload, wire.JobPublished)
		if m, ok := c.manifest(o.acc.Video); !ok || len(m.Tracks) != 2 {
			t.Errorf("manifest of %s: %v", o.acc.Video, ok)
		}
	}
	wantEmptySpool(t, dir)
}

func TestJobsAreListedAndStreamed(t *testing.T) {
	c := newCluster()
	h := startHost(t, c, t.TempDir(), nil)
	acc := h.upload(t, clip(t, "h264.mp4"))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+"/v1/jobs/"+acc.Upload.String(), nil)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	events, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.Header.Get("Content-Type") != "text/event-stream" || !bytes.Contains(events, []byte(`"state":"published"`)) {
		t.Errorf("events: %v %s", err, events)
	}
	resp, err = h.client.Get(h.base + "/v1/jobs")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list wire.List[wire.Job]
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Items) != 1 || list.Items[0].Upload != acc.Upload {
		t.Errorf("list: %v %+v", err, list)
	}
}

func TestEveryRouteIsServed(t *testing.T) {
	h := startHost(t, newCluster(), t.TempDir(), nil)
	served := map[string]bool{}
	for _, r := range h.echo.Routes() {
		served[r.Method+" "+r.Path] = true
	}
	for _, r := range Routes() {
		key := r.Method + " " + strings.NewReplacer("{", ":", "}", "").Replace(r.Path)
		if !served[key] {
			t.Errorf("%s is listed and not served", key)
		}
		delete(served, key)
	}
	for key := range served {
		t.Errorf("%s is served and not listed", key)
	}
	for _, path := range []string{"/livez", "/readyz?verbose", "/metrics", "/version", "/openapi.json"} {
		resp, err := h.client.Get(h.base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}
