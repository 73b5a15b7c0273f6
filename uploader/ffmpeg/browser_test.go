package ffmpeg

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium that appends tracks through Media Source Extensions: a
// page asks for one job after the other and answers with what it saw.
type browser struct {
	url    string
	jobs   chan *browserJob
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	open   map[string]*browserJob
	count  int
}

type browserJob struct {
	ID     string `json:"id"`
	Tracks []struct {
		Type  string `json:"type"`
		Parts int    `json:"parts"`
	} `json:"tracks"`
	parts [][][]byte
	done  chan seen
}

// seen is what the page says. Times are seconds.
type seen struct {
	Error    string      `json:"error"`
	Buffered [][]float64 `json:"buffered"` // start, end, start … of each track
	All      []float64   `json:"all"`      // of the element
	Width    int         `json:"width"`
	Height   int         `json:"height"`
	Pixels   [][]int     `json:"pixels"` // red, green, blue in the middle at 0, and at half
	Ended    bool        `json:"ended"`
}

// newBrowser starts Chromium, or skips the test.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		t.Skip("SKIPPED: chromium is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &browser{url: "http://" + l.Addr().String(), jobs: make(chan *browserJob), cancel: cancel, open: map[string]*browserJob{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("GET /next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case j := <-b.jobs:
			_ = json.NewEncoder(w).Encode(j)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /part/{id}/{track}/{part}", b.part)
	mux.HandleFunc("POST /result/{id}", b.result)
	srv := &http.Server{Handler: mux}
	b.done.Go(func() { _ = srv.Serve(l) })
	c := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio",
		"--autoplay-policy=no-user-gesture-required", "--disable-background-networking", "--user-data-dir="+t.TempDir(), b.url)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Second
	said, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	b.done.Go(func() {
		for s := bufio.NewScanner(said); s.Scan(); {
			_ = s.Text() // it must be read; what it holds is not about media
		}
		_ = c.Wait()
	})
	t.Cleanup(func() {
		cancel()
		_ = srv.Close()
		b.done.Wait()
	})
	return b
}

func (b *browser) job(id string) *browserJob {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[id]
}

func (b *browser) part(w http.ResponseWriter, r *http.Request) {
	j := b.job(r.PathValue("id"))
	track, err1 := strconv.Atoi(r.PathValue("track"))
	part, err2 := strconv.Atoi(r.PathValue("part"))
	if j == nil || err1 != nil || err2 != nil || track >= len(j.parts) || part >= len(j.parts[track]) {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(j.parts[track][part])
}

func (b *browser) result(_ http.ResponseWriter, r *http.Request) {
	var s seen
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		s.Error = err.Error()
	}
	if j := b.job(r.PathValue("id")); j != nil {
		j.done <- s
	}
}

// play appends tracks to one MediaSource and plays them to the end.
func (b *browser) play(t testing.TB, tracks ...*track) seen {
	t.Helper()
	j := &browserJob{done: make(chan seen, 1)}
	for _, k := range tracks {
		kind := "video"
		if k.init.Handler == "soun" {
			kind = "audio"
		}
		parts := [][]byte{k.init.Data}
		for _, c := range k.chunks {
			parts = append(parts, c.Data)
		}
		j.parts = append(j.parts, parts)
		j.Tracks = append(j.Tracks, struct {
			Type  string `json:"type"`
			Parts int    `json:"parts"`
		}{fmt.Sprintf("%s/mp4; codecs=%q", kind, strings.Replace(k.init.Codec, "fLaC", "flac", 1)), len(parts)})
	}
	b.mu.Lock()
	b.count++
	j.ID = strconv.Itoa(b.count)
	b.open[j.ID] = j
	b.mu.Unlock()
	timeout := time.After(2 * time.Minute)
	select {
	case b.jobs <- j:
	case <-timeout:
		t.Fatal("chromium does not ask for work")
	}
	select {
	case s := <-j.done:
		return s
	case <-timeout:
		return seen{Error: "chromium gave no answer"}
	}
}

const page = `<!doctype html><meta charset=utf-8><title>MSE</title><script>
const wait = (target, event, error) => new Promise((ok, no) => {
  target.addEventListener(event, ok, {once: true})
  if (error) target.addEventListener(error, () => no(new Error(error)), {once: true})
})
const within = (seconds, what, promise) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error('waited for ' + what)), seconds * 1000))])
const ranges = b => { const out = []; for (let i = 0; i < b.length; i++) out.push(b.start(i), b.end(i)); return out }
async function append(job, source, track, i) {
  if (!MediaSource.isTypeSupported(track.type)) throw new Error('not supported: ' + track.type)
  const buffer = source.addSourceBuffer(track.type)
  for (let n = 0; n < track.parts; n++) {
    const body = await (await fetch('/part/' + job.id + '/' + i + '/' + n)).arrayBuffer()
    const updated = wait(buffer, 'updateend')
    const failed = new Promise((_, no) => buffer.addEventListener('error', () => no(new Error('append of part ' + n + ' of track ' + i)), {once: true}))
    buffer.appendBuffer(body)
    await Promise.race([updated, failed])
    if (source.readyState != 'open') throw new Error('source ' + source.readyState + ' after part ' + n + ' of track ' + i)
  }
  return buffer
}
const pixel = video => {
  const c = document.createElement('canvas'); c.width = video.videoWidth; c.height = video.videoHeight
  if (!c.width) return []
  const g = c.getContext('2d'); g.drawImage(video, 0, 0)
  return Array.from(g.getImageData(c.width >> 1, c.height >> 1, 1, 1).data).slice(0, 3)
}
async function run(job) {
  const out = {error: '', buffered: [], all: [], width: 0, height: 0, pixels: [], ended: false}
  const video = document.createElement('video'); video.muted = true
  document.body.replaceChildren(video)
  const source = new MediaSource(); video.src = URL.createObjectURL(source)
  try {
    await wait(source, 'sourceopen')
    const buffers = await Promise.all(job.tracks.map((t, i) => append(job, source, t, i)))
    out.buffered = buffers.map(b => ranges(b.buffered))
    source.endOfStream()
    if (video.readyState < 2) await within(20, 'data at 0', Promise.race([wait(video, 'loadeddata'), wait(video, 'error').then(() => { throw new Error(video.error.message) })]))
    out.all = ranges(video.buffered); out.width = video.videoWidth; out.height = video.videoHeight
    const failed = wait(video, 'error').then(() => { throw new Error(video.error.message) })
    out.pixels.push(pixel(video))
    const seeked = wait(video, 'seeked'); video.currentTime = video.duration / 2
    await within(20, 'a seek', Promise.race([seeked, failed])); out.pixels.push(pixel(video))
    if (video.duration < 20) {
      const back = wait(video, 'seeked'); video.currentTime = 0
      await within(20, 'a seek to 0', Promise.race([back, failed]))
      video.playbackRate = 4; video.play()
      await within(30, 'the end, at ' + video.currentTime, Promise.race([wait(video, 'ended'), failed])); out.ended = true
    }
  } catch (e) { out.error = (video.error ? video.error.message + ': ' : '') + e.message }
  await fetch('/result/' + job.id, {method: 'POST', body: JSON.stringify(out)})
}
addEventListener('load', async () => { for (;;) await run(await (await fetch('/next')).json()) })
</script><body>`
