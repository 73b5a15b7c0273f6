package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/pages"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/web"
)

// needPages skips a test that wants a browser and the pages where there is one not.
func needPages(t *testing.T) {
	t.Helper()
	need(t, "chromium")
	if _, built := web.Pages(); !built {
		t.Skip("SKIPPED: the pages are not built; make web builds them")
	}
}

// TestThePagesPlayAFilm opens the console's link in Chromium as a person would: the film
// is listed, a click plays it, a seek lands where it was asked for.
func TestThePagesPlayAFilm(t *testing.T) {
	needPages(t)
	s := newScenario(t)
	var jobs wire.List[wire.Job]
	subtitles := filepath.Join(t.TempDir(), "de.srt")
	if err := os.WriteFile(subtitles, []byte("1\n00:00:01,000 --> 00:00:19,000\nGuten Tag\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.vstackJSON(&jobs, "video", "upload", clip(t, "20", "1"), "--title", "A film to watch", "--subtitles", subtitles+":de")
	url := s.console()

	b := s.chromium()
	b.do(chromedp.Navigate(url))
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/videos"]`)))
	b.until(`[...document.querySelectorAll(".film .title")].some(e => e.textContent === "A film to watch")`)
	b.shot("films")
	b.do(chromedp.Click(chromedp.Search(".film a.cover")))
	b.until(`(document.querySelector("video")?.currentTime ?? 0) > 1`)
	b.shot("watch")
	s.step("it plays")
	b.until(`document.querySelector("video").pause(), document.querySelector("video").currentTime = 13.3, true`)
	b.until(`!document.querySelector("video").seeking && document.querySelector("video").readyState >= 2`)
	if at := ask[float64](b, `document.querySelector("video").currentTime`); at < 13.3 || at > 13.8 {
		t.Errorf("a seek to 13.3 s landed at %.2f s", at)
	}
	b.until(`document.querySelector("video").poster.endsWith("/poster.jpg")`)
	b.until(`[...document.querySelector("video").textTracks].some(t => t.language === "de" && (t.mode = "showing"))`)
	b.until(`[...document.querySelector("video").textTracks].some(t => [...t.cues ?? []].some(c => c.text === "Guten Tag"))`)
	s.step("it has captions")
	b.until(`document.querySelectorAll(".scenes button").length >= 10`)
	b.do(chromedp.Click(chromedp.Search(".scenes button:nth-child(3)")))
	b.until(`Math.abs(document.querySelector("video").currentTime - 4) < 0.5`)
	b.shot("scenes")
	if said := ask[string](b, `document.querySelector('[role="alert"]')?.textContent ?? ""`); said != "" {
		t.Errorf("the page says %q", said)
	}
	b.until(`document.querySelectorAll(".lies tbody tr").length >= 3`)
	b.until(`document.querySelector(".overlay").scrollIntoView({ block: "end" }), true`)
	b.shot("player")
	b.until(`window.scrollTo(0, 0), true`)
	if p := b.player(); p.Useful == 0 { // a starved machine may read some of it through the gateway
		t.Errorf("nothing was read from the stores, %v bytes through the gateway", p.Gateway)
	}
	s.tour(b)
}

// console serves the pages for the lab and returns their link.
func (s *scenario) console() string { return s.consoleOf(s.cluster) }

// consoleOf is console with the rights of c.
func (s *scenario) consoleOf(c *cluster.Cluster) string {
	s.Helper()
	file, err := s.lab.WriteHostsFile()
	if err != nil {
		s.Fatal(err)
	}
	client, err := config.LoadClient(s.lab.Client, nil, nil)
	if err != nil {
		s.Fatal(err)
	}
	drills, err := openDrills(client, s.lab.Client, file)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	link, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- pages.Serve(ctx, c, pages.ServeOptions{Addr: "127.0.0.1:0", Version: buildVersion(), Links: openLinks(), Drills: drills, Opened: func(url string) { link <- url }})
	}()
	s.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Error(err)
		}
	})
	select {
	case url := <-link:
		return url
	case err := <-ended:
		ended <- err
		s.Fatal(err)
	}
	return ""
}

// browser is a headless Chromium on one page.
type browser struct {
	*scenario
	ctx context.Context
}

// chromium starts a browser that ends with the test.
func (s *scenario) chromium(more ...chromedp.ExecAllocatorOption) *browser {
	s.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900), chromedp.UserDataDir(s.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.WSURLReadTimeout(scenarioTimeout),
	)
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), append(opts, more...)...)
	ctx, stop := chromedp.NewContext(alloc)
	ctx, cancel := context.WithTimeout(ctx, 2*scenarioTimeout)
	s.Cleanup(func() {
		cancel()
		stop()
		stopAlloc()
	})
	return &browser{s, ctx}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// until waits for an expression to be true.
func (b *browser) until(expression string) {
	b.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(scenarioTimeout))); err != nil {
		b.shot("failed")
		b.Fatalf("waiting for %s: %v", expression, err)
	}
}

// ask evaluates an expression.
func ask[T any](b *browser, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("asking for %s: %v", expression, err)
	}
	return v
}

// shot keeps a picture of the page in the folder that VSTACK_SHOTS names, for a person to
// look at.
func (b *browser) shot(name string) {
	b.Helper()
	dir := os.Getenv("VSTACK_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.Error(err)
	}
}

// TestThePagesTakeAFilmAndGiveItUp uploads by the page, which speaks tus, watches what came
// of it, keeps it cold and deletes it.
func TestThePagesTakeAFilmAndGiveItUp(t *testing.T) {
	needPages(t)
	s := newScenario(t)
	b := s.chromium()
	b.do(chromedp.Navigate(s.console()))
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/videos"]`)))
	b.until(`document.querySelector("main .empty") !== null`)
	b.shot("films-empty")
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/upload"]`)))
	b.until(`document.querySelector(".drop") !== null`)
	b.do(chromedp.SetUploadFiles(chromedp.Search(`input[type="file"]`), []string{clip(t, "4", "1")}))
	b.until(`document.querySelector('.jobs a[href^="/watch/"]') !== null`)
	b.shot("uploaded")
	s.step("the page's upload is published")
	b.do(chromedp.Click(chromedp.Search(`.jobs a[href^="/watch/"]`)))
	b.until(`(document.querySelector("video")?.currentTime ?? 0) > 0.5`)
	b.until(`[...document.querySelectorAll(".actions select option")].length === 3`)
	b.until(`(e => (e.value = "cold", e.dispatchEvent(new Event("change", {bubbles: true})), true))(document.querySelector(".actions select"))`)
	b.until(`document.querySelector(".actions [role=status]")?.textContent === "kept cold"`)
	b.do(chromedp.Click(chromedp.Search(`.actions button.danger`)))
	b.until(`document.querySelector("dialog[open] .cmd code")?.textContent.startsWith("$ vstack video rm ")`)
	b.shot("delete")
	b.do(chromedp.Click(chromedp.Search(`dialog[open] button.danger`)))
	b.until(`location.pathname === "/videos" && document.querySelector("main .empty") !== null`)
	s.step("it is deleted")
}
