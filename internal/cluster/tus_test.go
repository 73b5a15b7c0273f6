package cluster

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// taker is an uploader that keeps what it is sent in memory: one part at a time.
type taker struct {
	mu     sync.Mutex
	meta   map[string]string
	data   []byte
	size   int
	got    int           // bytes that came, those that came again included
	calls  []string      // but for readiness and jobs
	break_ func(int) int // how many bytes of a request are taken before its connection breaks; below 0: all
	lose   bool          // the answer to the last byte
	refuse []error       // creations, one after the other
	old    bool          // it knows POST /v1/upload only
	coming int           // looks at /readyz until it is ready
}

func (u *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case r.URL.Path == "/readyz":
		if u.coming > 0 {
			u.coming--
			http.Error(w, "[-]catalog: no leader", http.StatusServiceUnavailable)
		}
		return
	case strings.HasPrefix(r.URL.Path, "/v1/jobs/"):
		_, _ = io.WriteString(w, `{"state":"published"}`)
		return
	}
	u.calls = append(u.calls, r.Method+" "+r.URL.Path)
	switch {
	case r.URL.Path == "/v1/upload":
		u.form(w, r)
	case u.old:
		wire.WriteError(w, vstack.ErrNotFound)
	case r.Method == http.MethodPost:
		u.create(w, r)
	case u.size == 0:
		wire.WriteError(w, vstack.ErrNotFound)
	case r.Method == http.MethodPatch:
		u.patch(w, r)
	default:
		in := wire.Incoming{Offset: int64(len(u.data)), Length: int64(u.size)}
		if len(u.data) == u.size {
			in = wire.Incoming{Accepted: &wire.Accepted{Video: vstack.VideoID{2}, Upload: vstack.UploadID{1}}}
		}
		_ = json.NewEncoder(w).Encode(in)
	}
}

func (u *taker) form(w http.ResponseWriter, r *http.Request) {
	f, _, err := r.FormFile("video")
	if err != nil {
		wire.WriteError(w, fmt.Errorf("%w: %w", vstack.ErrFormInvalid, err))
		return
	}
	u.data, _ = io.ReadAll(f)
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(wire.Accepted{Video: vstack.VideoID{2}, Upload: vstack.UploadID{1}})
}

func (u *taker) create(w http.ResponseWriter, r *http.Request) {
	if len(u.refuse) > 0 {
		err := u.refuse[0]
		u.refuse = u.refuse[1:]
		wire.WriteError(w, err)
		return
	}
	u.size, _ = strconv.Atoi(r.Header.Get("Upload-Length"))
	u.data, u.meta = nil, map[string]string{}
	for _, kv := range strings.Split(r.Header.Get("Upload-Metadata"), ",") {
		k, v, _ := strings.Cut(kv, " ")
		b, _ := base64.StdEncoding.DecodeString(v)
		u.meta[k] = string(b)
	}
	w.Header().Set("Location", "https://a-name-of-its-own/v1/files/part")
	w.WriteHeader(http.StatusCreated)
}

func (u *taker) patch(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upload-Offset") != strconv.Itoa(len(u.data)) {
		wire.WriteError(w, vstack.ErrOffset)
		return
	}
	n := -1
	if u.break_ != nil {
		n = u.break_(len(u.data))
	}
	if n >= 0 {
		b, _ := io.ReadAll(io.LimitReader(r.Body, int64(n)))
		u.data, u.got = append(u.data, b...), u.got+len(b)
		panic(http.ErrAbortHandler)
	}
	b, err := io.ReadAll(r.Body)
	u.data, u.got = append(u.data, b...), u.got+len(b)
	if err != nil || len(u.data) != u.size || u.lose {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set(wire.HeaderVideo, vstack.VideoID{2}.String())
	w.Header().Set(wire.HeaderUpload, vstack.UploadID{1}.String())
	w.WriteHeader(http.StatusNoContent)
}

func (u *taker) heard() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.calls...)
}

// sent is a file of n bytes and a cluster whose uploaders are takers.
func sent(t *testing.T, n int, takers ...*taker) (c *Cluster, file string, data []byte) {
	t.Helper()
	data = make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	file = filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := &config.Client{}
	for _, u := range takers {
		var addr string
		c, addr = against(t, u.ServeHTTP)
		conf.Uploaders = append(conf.Uploaders, addr)
	}
	c.cfg = conf
	return c, file, data
}

func quiet() *console.Progress { return console.NewProgress(console.ProgressNone, io.Discard) }

func TestAnUploadGoesOnWhereItsConnectionWasCut(t *testing.T) {
	u := &taker{}
	cuts := 0
	u.break_ = func(at int) int {
		if cuts++; cuts <= 3 {
			return 1 << 20
		}
		return -1
	}
	c, file, data := sent(t, 5<<20, u)
	job, err := c.Upload(t.Context(), quiet(), file, UploadOptions{Title: "T", KeepOriginal: true, Renditions: []string{"source", "480p"}, Class: "cold"})
	if err != nil || job.State != wire.JobPublished {
		t.Fatalf("%+v, %v", job, err)
	}
	if !bytes.Equal(u.data, data) || u.got != len(data) {
		t.Errorf("%d bytes arrived of %d", u.got, len(data))
	}
	for k, want := range map[string]string{"filename": "film.mp4", "title": "T", "keep_original": "true", "renditions": "source,480p", "class": "cold"} {
		if u.meta[k] != want {
			t.Errorf("%s is %q, want %q", k, u.meta[k], want)
		}
	}
}

func TestALostAnswerToTheLastByteIsAskedFor(t *testing.T) {
	u := &taker{lose: true}
	c, file, data := sent(t, 100_000, u)
	if job, err := c.Upload(t.Context(), quiet(), file, UploadOptions{}); err != nil || job.State != wire.JobPublished {
		t.Fatalf("%+v, %v", job, err)
	}
	if u.got != len(data) {
		t.Errorf("%d bytes arrived of %d", u.got, len(data))
	}
}

func TestAHostThatStaysAwayIsReplacedAndThatIsSaid(t *testing.T) {
	first, second := &taker{}, &taker{}
	c, file, data := sent(t, 100_000, first, second)
	// Whichever is asked first breaks every connection from then on.
	var mu sync.Mutex
	var dead *taker
	for _, u := range []*taker{first, second} {
		u.break_ = func(int) int {
			mu.Lock()
			defer mu.Unlock()
			if dead == nil {
				dead = u
			}
			if dead == u {
				return 0
			}
			return -1
		}
	}
	var said bytes.Buffer
	job, err := c.Upload(t.Context(), console.NewProgress(console.ProgressLines, &said), file, UploadOptions{Patience: 300 * time.Millisecond})
	if err != nil || job.State != wire.JobPublished {
		t.Fatalf("%+v, %v", job, err)
	}
	if !bytes.Equal(first.data, data) && !bytes.Equal(second.data, data) {
		t.Errorf("the file is at neither host: %d and %d bytes", len(first.data), len(second.data))
	}
	if !strings.Contains(said.String(), "another host gets the file from its first byte") {
		t.Errorf("said:\n%s", said.String())
	}
}

func TestAnUploaderThatDoesNotTakeAFileIsPassedOver(t *testing.T) {
	for name, tc := range map[string]struct {
		refusals []error // one after the other, then the file is taken
		sent     int
		want     error
	}{
		"it stops":             {[]error{vstack.ErrUnavailable}, 2, nil},
		"it has enough to do":  {[]error{vstack.ErrTooManyUploads}, 2, nil},
		"nobody takes it":      {[]error{vstack.ErrUnavailable, vstack.ErrUnavailable, vstack.ErrUnavailable}, 2, vstack.ErrUnavailable},
		"the file is at fault": {[]error{vstack.ErrTooLarge}, 1, vstack.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			u := &taker{refuse: tc.refusals}
			c, file, _ := sent(t, 10, u)
			_, err := c.Upload(t.Context(), quiet(), file, UploadOptions{})
			creations := 0
			for _, call := range u.heard() {
				if call == "POST /v1/files" {
					creations++
				}
			}
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) || creations != tc.sent {
				t.Errorf("asked %d times, want %d; %v, want %v", creations, tc.sent, err, tc.want)
			}
		})
	}
}

// TestAnElectionIsWaitedFor: while members elect a leader no uploader is ready, for a moment.
func TestAnElectionIsWaitedFor(t *testing.T) {
	c, file, data := sent(t, 10, &taker{coming: 4})
	if _, err := c.Upload(t.Context(), quiet(), file, UploadOptions{}); err != nil {
		t.Fatalf("%d bytes, ready at the fifth look: %v", len(data), err)
	}
	c, file, _ = sent(t, 10, &taker{coming: 1 << 30})
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if _, err := c.Upload(ctx, quiet(), file, UploadOptions{}); err == nil || !strings.Contains(err.Error(), "no leader") {
		t.Errorf("never ready: %v", err)
	}
}

func TestAnUploaderOfTheVersionBeforeGetsAForm(t *testing.T) {
	u := &taker{old: true}
	c, file, data := sent(t, 100_000, u)
	if job, err := c.Upload(t.Context(), quiet(), file, UploadOptions{}); err != nil || job.State != wire.JobPublished {
		t.Fatalf("%+v, %v", job, err)
	}
	if !bytes.Equal(u.data, data) {
		t.Errorf("%d bytes arrived of %d", len(u.data), len(data))
	}
}

func TestALaterCommandResumesWithTheOptionsOfTheFirst(t *testing.T) {
	u := &taker{break_: func(at int) int { return 50_000 }}
	c, file, data := sent(t, 200_000, u)
	opt := UploadOptions{Memory: t.TempDir(), Patience: 50 * time.Millisecond, Title: "first", KeepOriginal: true, Renditions: []string{"480p"}}
	u.mu.Lock()
	taken := 0
	u.break_ = func(int) int { // 50,000 bytes once, then nothing more
		if taken++; taken == 1 {
			return 50_000
		}
		return 0
	}
	u.mu.Unlock()
	opt.Uploader = c.cfg.Uploaders[0]
	if _, err := c.Upload(t.Context(), quiet(), file, opt); !errors.Is(err, vstack.ErrUnavailable) {
		t.Fatalf("the first command: %v", err)
	}
	before := len(u.heard())
	later := UploadOptions{Memory: opt.Memory, Resume: true, Uploader: opt.Uploader}
	for _, change := range []func(*UploadOptions){
		func(o *UploadOptions) { o.Renditions = []string{"720p"} }, func(o *UploadOptions) { o.Class = "cold" },
	} {
		other := later
		change(&other)
		if _, err := c.Upload(t.Context(), quiet(), file, other); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("a resume with other options: %v", err)
		}
	}
	if n := len(u.heard()); n != before {
		t.Errorf("%d calls for a resume that is refused", n-before)
	}
	u.mu.Lock()
	u.break_, u.got = nil, 0
	u.mu.Unlock()
	if job, err := c.Upload(t.Context(), quiet(), file, later); err != nil || job.State != wire.JobPublished {
		t.Fatalf("the second command: %+v, %v", job, err)
	}
	if !bytes.Equal(u.data, data) || u.got != len(data)-50_000 {
		t.Errorf("%d bytes arrived, want %d", u.got, len(data)-50_000)
	}
	if u.meta["keep_original"] != "true" || u.meta["renditions"] != "480p" || u.meta["title"] != "first" {
		t.Errorf("order: %v", u.meta)
	}
	left, err := os.ReadDir(opt.Memory)
	if err != nil || len(left) != 0 {
		t.Errorf("%d files are remembered, %v", len(left), err)
	}
}
