package cluster

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster/deliver"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// The whole path is tested on real hosts in cmd/vstack; here are the answers that real
// hosts should not give.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// against makes a Cluster that talks to one handler.
func against(t *testing.T, h http.HandlerFunc) (c *Cluster, addr string) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	conf := srv.Client().Transport.(*http.Transport).TLSClientConfig
	c = &Cluster{cfg: &config.Client{}, web: newWeb(conf), films: newFilms(conf)}
	t.Cleanup(c.web.Close)
	t.Cleanup(c.films.Close)
	return c, strings.TrimPrefix(srv.URL, "https://")
}

func TestSendIsAFormWithItsLengthAndTheFileLast(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a film.mp4")
	if err := os.WriteFile(file, []byte("bytes of the film"), 0o600); err != nil {
		t.Fatal(err)
	}
	var fields []string
	c, addr := against(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(body)) {
			t.Errorf("length %d, body %d, %v", r.ContentLength, len(body), err)
		}
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Error(err)
		}
		form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for {
			part, err := form.NextPart()
			if err != nil {
				break
			}
			value, err := io.ReadAll(part)
			if err != nil {
				t.Error(err)
			}
			fields = append(fields, part.FormName()+"="+string(value))
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"upload_id":"01900000-0000-7000-8000-000000000000","job":"/v1/jobs/x"}`)
	})
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	opt := UploadOptions{Renditions: []string{"source", "480p"}, KeepOriginal: true, Class: "auto"}
	prog := console.NewProgress(console.ProgressNone, io.Discard)
	acc, err := (&deliver.Delivery{To: c.uploaders(), Prog: prog, Addr: addr, File: f, Size: 17, Fields: (&sending{file: file, opt: opt}).fields()}).SendForm(t.Context())
	if err != nil || acc.Upload.IsZero() {
		t.Fatalf("got %+v, %v", acc, err)
	}
	want := []string{"title=a film", "class=auto", "keep_original=true", "renditions=source,480p", "video=bytes of the film"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
}

func TestSendGivesTheRefusalOfTheUploader(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, addr := against(t, func(w http.ResponseWriter, _ *http.Request) { wire.WriteError(w, vstack.ErrTooLarge) })
	prog := console.NewProgress(console.ProgressNone, io.Discard)
	if _, err := (&deliver.Delivery{To: c.uploaders(), Prog: prog, Addr: addr, File: f, Size: 1 << 20, Fields: [][2]string{{"filename", "x"}}}).SendForm(t.Context()); !errors.Is(err, vstack.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestExportListTakesOneRenditionAndAllSound(t *testing.T) {
	m := &vstack.Manifest{Tracks: []vstack.Track{
		{Number: 1, Kind: vstack.TrackVideo}, {Number: 2, Kind: vstack.TrackVideo}, {Number: 3, Kind: vstack.TrackAudio},
		{Number: 4, Kind: vstack.TrackAudio}, {Number: 5, Kind: vstack.TrackOriginal},
	}}
	if got := exportList(m); !cmp.Equal(got, []uint16{1, 3, 4}) {
		t.Errorf("got %v", got)
	}
}

func TestFollowJobBearsAShortSilenceAndTellsTheFailure(t *testing.T) {
	asked := 0
	c, addr := against(t, func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			_, _ = io.WriteString(w, `{"state":"running","chunks":2}`)
		case 2:
			wire.WriteError(w, vstack.ErrUnavailable)
		default:
			_, _ = io.WriteString(w, `{"state":"failed","error":{"code":"TRANSCODE_FAILED","status":422,"detail":"odd codec"}}`)
		}
	})
	prog := console.NewProgress(console.ProgressNone, io.Discard)
	job, err := c.FollowJob(t.Context(), prog, addr, vstack.UploadID{1})
	if !errors.Is(err, vstack.ErrTranscode) || job.State != wire.JobFailed || asked < 3 {
		t.Errorf("got %+v, %v after %d questions", job, err, asked)
	}
}

func TestAJobThatWaitsForTheClusterIsLeftWithTheReason(t *testing.T) {
	c, addr := against(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"state":"running","chunks":2,"error":{"code":"NO_QUORUM","status":503,"detail":"h2, h3 are gone"}}`)
	})
	var said bytes.Buffer
	prog := console.NewProgress(console.ProgressLines, &said)
	job, err := c.follow(t.Context(), prog, addr, vstack.UploadID{1}, 5*time.Second, time.Millisecond)
	if !errors.Is(err, vstack.ErrNoQuorum) || console.ExitCode(err) != console.ExitNoQuorum || job.State != wire.JobRunning {
		t.Errorf("got %+v, %v", job, err)
	}
	if !strings.Contains(said.String(), "waits: NO_QUORUM h2, h3 are gone") {
		t.Errorf("said %q", said.String())
	}
}

func TestAJobThatGoesOnAfterAWaitIsFollowed(t *testing.T) {
	asked := 0
	c, addr := against(t, func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			_, _ = io.WriteString(w, `{"state":"running","chunks":2,"error":{"code":"NO_QUORUM","status":503,"detail":"h2"}}`)
		case 2:
			_, _ = io.WriteString(w, `{"state":"running","chunks":3}`)
		default:
			_, _ = io.WriteString(w, `{"state":"published","chunks":3}`)
		}
	})
	prog := console.NewProgress(console.ProgressNone, io.Discard)
	if _, err := c.follow(t.Context(), prog, addr, vstack.UploadID{1}, 5*time.Second, time.Minute); err != nil {
		t.Error(err)
	}
}

func TestTitleOfAnyFileNameIsATitle(t *testing.T) {
	for file, want := range map[string]string{
		"/films/A film.mkv": "A film", "-rf": "-rf", "a\nb\t.mp4": "a b ", "caf\xe9.mp4": "caf\uFFFD", "日本.mov": "日本",
	} {
		if got := titleOf(file); got != want {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
}
