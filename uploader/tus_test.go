package uploader

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// tus sends one request of the protocol and returns the answer with its body read.
func (h *host) tus(t *testing.T, method, path string, header map[string]string, b io.Reader) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.base+path, b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, out
}

func metadata(fields map[string]string) string {
	var all []string
	for k, v := range fields {
		all = append(all, k+" "+base64.StdEncoding.EncodeToString([]byte(v)))
	}
	return strings.Join(all, ",")
}

// created makes a part and returns its path.
func (h *host) created(t *testing.T, size int, fields map[string]string) string {
	t.Helper()
	resp, out := h.tus(t, http.MethodPost, "/files", map[string]string{"Upload-Length": strconv.Itoa(size), "Upload-Metadata": metadata(fields)}, nil)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("create: %d %s", resp.StatusCode, out)
	}
	path, ok := strings.CutPrefix(resp.Header.Get("Location"), h.base)
	if !ok || !strings.HasPrefix(path, "/files/") {
		t.Fatalf("Location %q", resp.Header.Get("Location"))
	}
	return path
}

func (h *host) patch(t *testing.T, path string, at int, b []byte) (*http.Response, []byte) {
	t.Helper()
	return h.tus(t, http.MethodPatch, path, map[string]string{"Upload-Offset": strconv.Itoa(at), "Content-Type": "application/offset+octet-stream"}, bytes.NewReader(b))
}

// accepted sends the rest of a part and returns the upload that it became.
func (h *host) accepted(t *testing.T, path string, at int, b []byte) vstack.UploadID {
	t.Helper()
	resp, out := h.patch(t, path, at, b)
	id, err := vstack.ParseUploadID(resp.Header.Get(wire.HeaderUpload))
	if err != nil {
		t.Fatalf("%d %s: %v", resp.StatusCode, out, err)
	}
	return id
}

// at is where a part stands.
func (h *host) at(t *testing.T, path string) int {
	t.Helper()
	resp, _ := h.tus(t, http.MethodHead, path, nil, nil)
	n, err := strconv.Atoi(resp.Header.Get("Upload-Offset"))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("HEAD %s: %d, Upload-Offset %q", path, resp.StatusCode, resp.Header.Get("Upload-Offset"))
	}
	return n
}

func problemIn(t *testing.T, resp *http.Response, out []byte, want *vstack.Sentinel) {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal(out, &p); err != nil || p.Code != want.Code() || p.Status != resp.StatusCode {
		t.Errorf("got %d %s, want %s", resp.StatusCode, out, want.Code())
	}
}

func TestAResumableUploadGoesOnAfterCutsAndRestarts(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	file := clip(t, "h264.mp4")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	path := h.created(t, len(data), map[string]string{"filename": "film.mp4", "title": "In pieces", "keep_original": "true", "filetype": "video/mp4"})
	third := len(data) / 3
	if resp, out := h.patch(t, path, 0, data[:third]); resp.StatusCode != http.StatusNoContent || resp.Header.Get("Upload-Offset") != strconv.Itoa(third) {
		t.Fatalf("first third: %d %s", resp.StatusCode, out)
	}
	// A connection that is cut in the middle of a request: what has come is kept.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, h.base+path, io.MultiReader(bytes.NewReader(data[third:2*third]), failing{func() {
		// The transport's goroutine, which must not end the test: should nothing come, what follows fails.
		for end := time.Now().Add(time.Minute); h.receiving.Used() == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		}
	}}))
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Offset", strconv.Itoa(third))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	if resp, err := h.client.Do(req); err == nil {
		resp.Body.Close()
	}
	waitFor(t, "the cut request has ended", func() bool { return h.receiving.Used() == 0 })
	at := h.at(t, path)
	if at < third || at > 2*third {
		t.Fatalf("the part stands at %d, of %d it had %d", at, 2*third, third)
	}
	h.stop()

	h = startHost(t, c, dir, nil)
	if again := h.at(t, path); again != at {
		t.Fatalf("after the restart the part stands at %d, before at %d", again, at)
	}
	resp, out := h.patch(t, path, at, data[at:])
	id, err := vstack.ParseUploadID(resp.Header.Get(wire.HeaderUpload))
	if resp.StatusCode != http.StatusNoContent || err != nil || resp.Header.Get(wire.HeaderJob) != "/v1/jobs/"+id.String() {
		t.Fatalf("last bytes: %d %s, %v", resp.StatusCode, out, resp.Header)
	}
	j := h.finished(t, id, wire.JobPublished)
	if j.Title != "In pieces" || j.Source.Name != "film.mp4" || j.Source.SHA256 != vstack.ChunkIDOf(data) || j.Video.String() != resp.Header.Get(wire.HeaderVideo) {
		t.Errorf("job: %+v", j)
	}
	m, _ := c.manifest(j.Video)
	if len(m.Tracks) != 3 || !bytes.Equal(c.bytesOf(m.Tracks[2]), data) {
		t.Errorf("%d tracks, or the original differs", len(m.Tracks))
	}
	// The answer to the last bytes may have been lost: HEAD and GET say what became of them.
	resp, _ = h.tus(t, http.MethodHead, path, nil, nil)
	if resp.Header.Get("Upload-Offset") != strconv.Itoa(len(data)) || resp.Header.Get(wire.HeaderUpload) != id.String() {
		t.Errorf("HEAD of what is a job: %v", resp.Header)
	}
	var in wire.Incoming
	if _, out = h.tus(t, http.MethodGet, "/v1"+path, nil, nil); json.Unmarshal(out, &in) != nil || in.Accepted == nil || in.Accepted.Upload != id {
		t.Errorf("GET of what is a job: %s", out)
	}
	wantEmptySpool(t, dir)
}

// failing is a body whose connection is cut, once after has returned.
type failing struct{ after func() }

func (f failing) Read([]byte) (int, error) {
	f.after()
	return 0, errors.New("the link is cut")
}

func TestWholePartThatCouldNotBeAcceptedIsAcceptedLater(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	c.openErr = fmt.Errorf("open: %w", vstack.ErrOutcomeUnknown)
	h := startHost(t, c, dir, nil)
	data, err := os.ReadFile(clip(t, "h264.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	path := h.created(t, len(data), nil)
	resp, out := h.patch(t, path, 0, data)
	problemIn(t, resp, out, vstack.ErrOutcomeUnknown)
	c.mu.Lock()
	c.openErr = nil
	c.mu.Unlock()
	if at := h.at(t, path); at != len(data) { // the client asks how far it is, and that is enough
		t.Errorf("the part stands at %d of %d", at, len(data))
	}
	id := h.accepted(t, path, len(data), nil)
	h.finished(t, id, wire.JobPublished)
	wantEmptySpool(t, dir)
}

func TestRefusalsOfResumableUploads(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, func(cfg *Config) { cfg.MaxUpload, cfg.MaxParts = 1<<20, 2 })
	length := func(n string) map[string]string { return map[string]string{"Upload-Length": n} }
	for name, tc := range map[string]struct {
		method, path string
		header       map[string]string
		want         *vstack.Sentinel
	}{
		"no length":          {"POST", "/files", nil, vstack.ErrInvalid},
		"length later":       {"POST", "/files", map[string]string{"Upload-Defer-Length": "1"}, vstack.ErrInvalid},
		"too large":          {"POST", "/files", length("1048577"), vstack.ErrTooLarge},
		"another version":    {"POST", "/v1/files", map[string]string{"Upload-Length": "5", "Tus-Resumable": "0.2.2"}, vstack.ErrTusVersion},
		"unknown field":      {"POST", "/files", map[string]string{"Upload-Length": "5", "Upload-Metadata": metadata(map[string]string{"colour": "red"})}, vstack.ErrFormInvalid},
		"unknown rendition":  {"POST", "/files", map[string]string{"Upload-Length": "5", "Upload-Metadata": metadata(map[string]string{"renditions": "8k"})}, vstack.ErrFormInvalid},
		"resume of nothing":  {"POST", "/files", map[string]string{"Upload-Length": "5", "Upload-Metadata": metadata(map[string]string{"resume": "01890000-0000-7000-8000-000000000000"})}, vstack.ErrNotFound},
		"method of parts":    {"PUT", "/files", nil, vstack.ErrMethod},
		"method of a part":   {"POST", "/files/0123456789abcdef0123456789abcdef", nil, vstack.ErrMethod},
		"method in a header": {"POST", "/files", map[string]string{"X-HTTP-Method-Override": "DELETE"}, vstack.ErrMethod},
		"unknown part":       {"PATCH", "/files/0123456789abcdef0123456789abcdef", map[string]string{"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}, vstack.ErrNotFound},
		"part of no name":    {"GET", "/files/..%2f..%2fjobs", nil, vstack.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			resp, out := h.tus(t, tc.method, tc.path, tc.header, nil)
			problemIn(t, resp, out, tc.want)
			if tc.want == vstack.ErrMethod && resp.Header.Get("X-HTTP-Method-Override") == "" && !strings.Contains(name, "header") && resp.Header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
	wantEmptySpool(t, dir)

	path := h.created(t, 100, nil)
	resp, out := h.patch(t, path, 5, []byte("x"))
	problemIn(t, resp, out, vstack.ErrOffset)
	resp, out = h.patch(t, path, 0, make([]byte, 101))
	problemIn(t, resp, out, vstack.ErrTooLarge)
	h.created(t, 100, nil)
	resp, out = h.tus(t, http.MethodPost, "/files", length("5"), nil)
	problemIn(t, resp, out, vstack.ErrTooManyUploads)
	// What is not media ends with its last byte, and is remembered for who asks again.
	resp, out = h.patch(t, path, 0, make([]byte, 100))
	problemIn(t, resp, out, vstack.ErrNotMedia)
	resp, out = h.tus(t, http.MethodGet, path, nil, nil)
	problemIn(t, resp, out, vstack.ErrNotMedia)
	resp, _ = h.tus(t, http.MethodHead, path, nil, nil)
	if resp.Header.Get(wire.HeaderCode) != string(vstack.ErrNotMedia.Code()) {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
	if s := c.states(); len(s) != 0 {
		t.Errorf("uploads were opened: %v", s)
	}
}

// passedOn has a request come from elsewhere, under a token if there is one.
func passedOn(token string, more ...string) map[string]string {
	h := map[string]string{"X-Forwarded-For": "10.0.0.9"}
	if token != "" {
		h["Authorization"] = "Bearer " + token
	}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

func TestATicketIsForOneCreationAndItsCancel(t *testing.T) {
	c := newCluster()
	c.tickets = map[vstack.TicketID]vstack.Ticket{vstack.TicketOf("mine"): {Uses: 1, Bytes: 100}, vstack.TicketOf("another"): {Uses: 1}}
	h := startHost(t, c, t.TempDir(), nil)
	for what, refused := range map[string]struct {
		header map[string]string
		want   *vstack.Sentinel
	}{
		"without a ticket":  {passedOn("", "Upload-Length", "5"), vstack.ErrUnauthenticated},
		"with an unknown":   {passedOn("none", "Upload-Length", "5"), vstack.ErrUnauthenticated},
		"with a small one":  {passedOn("mine", "Upload-Length", "101"), vstack.ErrTooLarge},
		"of unknown length": {passedOn("mine"), vstack.ErrTooLarge},
	} {
		t.Log(what)
		resp, out := h.tus(t, http.MethodPost, "/files", refused.header, nil)
		problemIn(t, resp, out, refused.want)
	}
	resp, out := h.tus(t, http.MethodPost, "/files", passedOn("mine", "Upload-Length", "100"), nil)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("with a ticket: %d %s", resp.StatusCode, out)
	}
	at, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	path := at.Path
	h.patch(t, path, 0, make([]byte, 10)) // the URL itself is the right to go on
	resp, out = h.tus(t, http.MethodPost, "/files", passedOn("mine", "Upload-Length", "5"), nil)
	problemIn(t, resp, out, vstack.ErrUnauthenticated) // it is used up
	for _, token := range []string{"", "none", "another"} {
		resp, out = h.tus(t, http.MethodDelete, path, passedOn(token), nil)
		problemIn(t, resp, out, vstack.ErrUnauthenticated)
	}
	if resp, out = h.tus(t, http.MethodDelete, path, passedOn("mine"), nil); resp.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", resp.StatusCode, out)
	}
	resp, out = h.tus(t, http.MethodGet, path, nil, nil)
	problemIn(t, resp, out, vstack.ErrNotFound)
}

func TestAJobIsCanceledWithItsTicket(t *testing.T) {
	c := newCluster()
	c.tickets = map[vstack.TicketID]vstack.Ticket{vstack.TicketOf("mine"): {Uses: 1}}
	h := startHost(t, c, t.TempDir(), nil)
	reached, open := stuckAfter(t, c, 1)
	b, kind := body(t, clip(t, "h264.mp4"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.base+"/upload", b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	for k, v := range passedOn("mine") {
		req.Header.Set(k, v)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var acc wire.Accepted
	if err := json.NewDecoder(resp.Body).Decode(&acc); err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	<-reached
	got, out := h.tus(t, http.MethodDelete, acc.Job, passedOn("none"), nil)
	problemIn(t, got, out, vstack.ErrUnauthenticated)
	open()
	if got, out = h.tus(t, http.MethodDelete, acc.Job, passedOn("mine"), nil); got.StatusCode != http.StatusOK {
		t.Errorf("with its ticket: %d %s", got.StatusCode, out)
	}
}

func TestASecondRequestForAPartEndsTheFirst(t *testing.T) {
	c := newCluster()
	h := startHost(t, c, t.TempDir(), nil)
	data, err := os.ReadFile(clip(t, "h264.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	path := h.created(t, len(data), nil)
	// A client that vanished without a word leaves a request that waits for its bytes.
	r, w := io.Pipe()
	first := make(chan struct{})
	go func() {
		defer close(first)
		req, _ := http.NewRequest(http.MethodPatch, h.base+path, r)
		req.Header.Set("Tus-Resumable", "1.0.0")
		req.Header.Set("Upload-Offset", "0")
		req.Header.Set("Content-Type", "application/offset+octet-stream")
		if resp, err := h.client.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	if _, err := w.Write(data[:1000]); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.at(t, path)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the first request held the part for %s", took)
	}
	w.CloseWithError(io.ErrClosedPipe)
	<-first
	at := h.at(t, path) // what the first request brought before it ended counts
	resp, out := h.patch(t, path, at, data[at:])
	id, err := vstack.ParseUploadID(resp.Header.Get(wire.HeaderUpload))
	if err != nil {
		t.Fatalf("%d %s", resp.StatusCode, out)
	}
	h.finished(t, id, wire.JobPublished)
}

func TestPartsThatNobodyGoesOnWithAreRemovedAndOthersKept(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	old, young := h.created(t, 100, nil), h.created(t, 100, nil)
	mark := filepath.Join(dir, "incoming", filepath.Base(old), "synced")
	h.stop()
	past := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(mark, past, past); err != nil {
		t.Fatal(err)
	}
	h = startHost(t, c, dir, nil)
	waitFor(t, "the old part is gone", func() bool {
		resp, _ := h.tus(t, http.MethodHead, old, nil, nil)
		return resp.StatusCode == http.StatusNotFound
	})
	if at := h.at(t, young); at != 0 {
		t.Errorf("the young part stands at %d", at)
	}
}

// arrived waits until a part in a spool has more than n bytes.
func arrived(t *testing.T, dir string, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(dir, "incoming", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && info.Size() > int64(n) {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("nothing arrives")
		}
	}
}

// onceRead does something before its end.
type onceRead struct{ do func() }

func (o onceRead) Read([]byte) (int, error) {
	o.do()
	return 0, io.EOF
}

// TestAWholePartWaitsForAPlaceInTheQueue: another upload takes the last place while the part
// arrives. Nothing of the part is lost.
func TestAWholePartWaitsForAPlaceInTheQueue(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, func(cfg *Config) { cfg.MaxQueued = 1 })
	data, err := os.ReadFile(clip(t, "h264.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	reached, open := stuckAfter(t, c, 0)
	path := h.created(t, len(data), nil)
	var first wire.Accepted
	half := len(data) / 2
	occupy := sync.OnceFunc(func() {
		arrived(t, dir, half/2)
		first = h.upload(t, clip(t, "h264.mp4"))
		<-reached
	})
	resp, out := h.tus(t, http.MethodPatch, path, map[string]string{"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
		io.MultiReader(bytes.NewReader(data[:half]), onceRead{occupy}, bytes.NewReader(data[half:])))
	problemIn(t, resp, out, vstack.ErrTooManyUploads)
	open()
	h.finished(t, first.Upload, wire.JobPublished)
	if at := h.at(t, path); at != len(data) {
		t.Errorf("the part stands at %d of %d", at, len(data))
	}
	id := h.accepted(t, path, len(data), nil)
	h.finished(t, id, wire.JobPublished)
	wantEmptySpool(t, dir)
}

// TestAFileThatIsWholeAsTheHostStopsIsPublishedLater: no job may begin any more.
func TestAFileThatIsWholeAsTheHostStopsIsPublishedLater(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	data, err := os.ReadFile(clip(t, "h264.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	path := h.created(t, len(data), nil)
	half := len(data) / 2
	stops := sync.OnceFunc(func() {
		arrived(t, dir, half/2)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.closed = true
	})
	resp, out := h.tus(t, http.MethodPatch, path, map[string]string{"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
		io.MultiReader(bytes.NewReader(data[:half]), onceRead{stops}, bytes.NewReader(data[half:])))
	id, err := vstack.ParseUploadID(resp.Header.Get(wire.HeaderUpload))
	if err != nil {
		t.Fatalf("%d %s: %v", resp.StatusCode, out, err)
	}
	h.stop()
	startHost(t, c, dir, nil).finished(t, id, wire.JobPublished)
	wantEmptySpool(t, dir)
}
