package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/gateway"
	"github.com/vstack/vstack/uploader/cut"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

// The film: 30 s, a keyframe every 10 s, two sounds, subtitles, two renditions.
const (
	seconds = 30
	rate    = 25
	frames  = seconds * rate
	stripes = 16 // of each frame's number, the lowest bit on the left
	width   = 640
	height  = 480
)

// memory keeps what a cut makes, and is the catalog and the stores of a gateway.
type memory struct {
	mu     sync.Mutex
	chunks map[vstack.ChunkID][]byte
	m      vstack.Manifest
}

func (k *memory) Send(_ vstack.Slot, ref vstack.ChunkRef, _ vstack.LeafTable, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.chunks[ref.ID] = bytes.Clone(data)
	return nil
}

func (k *memory) Wait() error                                     { return nil }
func (k *memory) Begin([]wire.JobTrack, []string, func() float64) {}
func (k *memory) Named(uint16, string)                            {}
func (k *memory) CutTo(uint16, float64)                           {}
func (k *memory) CutEnded(uint16)                                 {}
func (k *memory) Warn(string)                                     {}
func (k *memory) End()                                            {}

func (k *memory) Manifest(_ context.Context, id vstack.VideoID) (*vstack.Manifest, error) {
	if id != k.m.Video {
		return nil, vstack.ErrNotFound
	}
	return &k.m, nil
}

func (k *memory) Video(context.Context, vstack.VideoID) (vstack.Video, error) {
	return vstack.Video{ID: k.m.Video, Title: "Film"}, nil
}

func (k *memory) Videos(context.Context, metaclient.ListOptions) (wire.List[vstack.Video], error) {
	return wire.List[vstack.Video]{Items: []vstack.Video{{ID: k.m.Video}}}, nil
}

func (k *memory) RefreshPlacement(context.Context) (*vstack.PlacementMap, error) {
	return &vstack.PlacementMap{}, nil
}

func (k *memory) Ready(context.Context) error { return nil }

// There is no cluster around the film, and no player asks about one.
func (k *memory) Nodes(context.Context) ([]wire.Node, error) { return nil, vstack.ErrUnavailable }

func (k *memory) RaftStatus(context.Context) (wire.RaftStatus, error) {
	return wire.RaftStatus{}, vstack.ErrUnavailable
}

func (k *memory) Redundancy(context.Context) (wire.Redundancy, error) {
	return wire.Redundancy{}, vstack.ErrUnavailable
}

func (k *memory) VideoPlacement(context.Context, vstack.VideoID) (wire.VideoPlacement, error) {
	return wire.VideoPlacement{}, vstack.ErrUnavailable
}

func (k *memory) Hint(vstack.Video, *vstack.Manifest) {}

func (k *memory) Fetch(_ context.Context, _ vstack.Slot, ref vstack.ChunkRef) (quicclient.Fetched, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, ok := k.chunks[ref.ID]
	if !ok {
		return quicclient.Fetched{}, vstack.ErrUnavailable
	}
	return quicclient.Fetched{Data: b}, nil
}

// stand is the film with a server of it, and of the page that drives players.
type stand struct {
	file   string // the source
	url    string // of the server
	base   string // of the film
	video  vstack.VideoID
	kept   *memory
	tracks map[string]uint16 // by kind and name or language: "video source", "audio de"

	mu      sync.Mutex
	results map[string]chan map[string]string // by run
}

var shared struct {
	once sync.Once
	*stand
	close []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range shared.close {
		f()
	}
	os.Exit(code)
}

// theStand makes the film once.
func theStand(t *testing.T) *stand {
	t.Helper()
	need(t, "ffmpeg")
	shared.once.Do(func() { shared.stand = newStand(t) })
	if shared.stand == nil {
		t.Fatal("there is no film")
	}
	return shared.stand
}

func newStand(t *testing.T) *stand {
	dir, err := os.MkdirTemp("", "vstack-clients-")
	if err != nil {
		t.Fatal(err)
	}
	shared.close = append(shared.close, func() { os.RemoveAll(dir) })
	kept := &memory{chunks: map[vstack.ChunkID][]byte{}}
	s := &stand{file: makeFilm(t, dir), video: vstack.VideoID{1, 2, 3}, kept: kept, tracks: map[string]uint16{}, results: map[string]chan map[string]string{}}
	media, err := ffmpeg.Probe(context.Background(), s.file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := ffmpeg.NewPlan(media, []string{"source", "360p"}, ffmpeg.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if kept.m, err = cut.Run(context.Background(), cut.Order{Video: s.video, Source: s.file, Plan: plan, Level: vstack.LevelFormats}, kept,
		func(context.Context, context.CancelCauseFunc) cut.Sender { return kept }); err != nil {
		t.Fatal(err)
	}
	for _, tr := range kept.m.Tracks {
		name := tr.Language
		if tr.Kind == vstack.TrackVideo || tr.Kind == vstack.TrackImage {
			name = tr.Name
		}
		s.tracks[string(tr.Kind)+" "+name] = tr.Number
	}
	g, err := gateway.New(gateway.Config{Catalog: kept, Chunks: kept})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.routes(g.Handler()))
	shared.close = append(shared.close, func() {
		g.Stop()
		srv.Close()
		_ = g.Close() // nothing is left to be told
	})
	s.url, s.base = srv.URL, srv.URL+"/play/"+s.video.String()
	return s
}

// makeFilm has ffmpeg draw the number of each frame in stripes.
func makeFilm(t *testing.T, dir string) string {
	srt, out := filepath.Join(dir, "in.srt"), filepath.Join(dir, "film.mkv")
	var subtitles strings.Builder // a new one every two seconds: some players want a cue to begin where they are
	for at := 0; at < seconds; at += 2 {
		fmt.Fprintf(&subtitles, "%d\n00:00:%02d,100 --> 00:00:%02d,900\nGuten Tag %d\n\n", at/2+1, at, at+1, at)
	}
	if err := os.WriteFile(srt, []byte(subtitles.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	draw := fmt.Sprintf("color=black:s=%dx48:r=%d:d=%d,geq=lum='16+219*mod(floor(N/pow(2,floor(X/%d))),2)':cb=128:cr=128,scale=%d:%d:flags=neighbor", width, rate, seconds, width/stripes, width, height)
	c := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", draw, "-f", "lavfi", "-i", fmt.Sprintf("sine=f=440:d=%d", seconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=f=880:d=%d", seconds), "-i", srt, "-map", "0", "-map", "1", "-map", "2", "-map", "3",
		"-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-bf", "2", "-g", "250", "-keyint_min", "250", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-c:s", "srt",
		"-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger", "-metadata:s:s:0", "language=ger", out)
	if b, err := c.CombinedOutput(); err != nil {
		t.Fatalf("make the film: %v: %s", err, b)
	}
	return out
}

// routes serve the film, the page, the players, and take what the page finds.
func (s *stand) routes(film http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/play/", film)
	mux.Handle("/t/", film)
	mux.Handle("GET /lib/", http.StripPrefix("/lib/", http.FileServer(http.Dir("node_modules"))))
	mux.Handle("GET /page/", http.StripPrefix("/page/", http.FileServer(http.Dir("testdata"))))
	mux.HandleFunc("POST /result", func(w http.ResponseWriter, r *http.Request) {
		var found map[string]string
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&found); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		to := s.results[r.URL.Query().Get("run")]
		s.mu.Unlock()
		if to != nil {
			select {
			case to <- found:
			default: // a page that says it twice
			}
		}
	})
	return mux
}

// need skips a test aloud where a program is missing.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed", name)
	}
	return path
}

// numberOf reads a frame's number off its picture, given as bytes of brightness of rows of
// w pixels.
func numberOf(gray []byte, w, h int) int {
	n := 0
	for bit := range stripes {
		x, y := (2*bit+1)*w/stripes/2, h/2
		if gray[y*w+x] > 127 {
			n |= 1 << bit
		}
	}
	return n
}

// soak says that all players are to be played, not only the quick ones.
func soak() bool { return os.Getenv("VSTACK_SOAK") != "" }

// table keeps what each client can.
type table struct {
	mu   sync.Mutex
	rows []row
}

type row struct {
	client string
	does   map[string]string
}

var features = []string{"to the end", "cold seek", "seek in a run", "renditions", "languages", "captions"}

func (x *table) add(client string, does map[string]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows = append(x.rows, row{client, does})
}

func (x *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| client | %s |\n|---|%s\n", strings.Join(features, " | "), strings.Repeat("---|", len(features)))
	for _, r := range x.rows {
		fmt.Fprintf(&b, "| %s |", r.client)
		for _, f := range features {
			said := r.does[f]
			if said == "" {
				said = "–"
			}
			fmt.Fprintf(&b, " %s |", said)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
