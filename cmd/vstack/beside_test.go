package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/screening"
	links "github.com/vstack/vstack/bench/viewing/scenario"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/web"
)

// What is played: 90 s of 8 Mbit/s, 3 s of it from the beginning and 3 s after a seek into what
// nobody has read yet.
const (
	besideSeconds = 90
	besideRate    = "8M"
	besidePlays   = 3
)

// besides is what a page says of one player.
type besides struct {
	First, Seek, Late, Landed float64
	Waits                     int
	Error                     string
	Useful, Extra, Gateway    float64
	Steps                     map[string]float64
	failed                    bool
}

// TestAPagePlaysBesidePlayersOfOthers has the player of the stores, hls.js and Shaka play the same
// film in the same page and the same Chromium, over the same links, in turns. The others read from
// the gateway of the first host. VSTACK_LINKS names links of `vstack bench ls --links`
// (default healthy), VSTACK_PAIRS how many runs of each, VSTACK_TCP the congestion control of the
// hosts' TCP (default: the machine's).
func TestAPagePlaysBesidePlayersOfOthers(t *testing.T) {
	soakPlayer(t)
	if err := screening.Available(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	needFFmpeg(t)
	kinds := []string{"stores"}
	for kind, file := range map[string]string{"hls": "hls.js/dist/hls.min.js", "shaka": "shaka-player/dist/shaka-player.compiled.js"} {
		if _, err := os.Stat(filepath.Join(playersOfOthers, file)); err == nil {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 1 {
		t.Skip("SKIPPED: players of others are not fetched: npm ci in bench/clients")
	}
	slices.Sort(kinds[1:])
	pairs, err := strconv.Atoi(cmp.Or(os.Getenv("VSTACK_PAIRS"), "1"))
	if err != nil {
		t.Fatal(err)
	}
	b := newBeside(t)
	for _, name := range strings.Split(cmp.Or(os.Getenv("VSTACK_LINKS"), "healthy"), ",") {
		i := slices.IndexFunc(links.All(), func(s links.Scenario) bool { return s.Name == name })
		if i < 0 {
			t.Fatalf("no links %q", name)
		}
		t.Run(name, func(t *testing.T) { b.compare(t, links.All()[i], kinds, pairs) })
	}
}

// playersOfOthers is where npm ci puts them.
const playersOfOthers = "../../bench/clients/node_modules"

// beside is a lab with links, a film, a page and a browser.
type beside struct {
	lab           *lab.Lab
	film, gateway string
	page, tcp     string
	browser       context.Context
}

func newBeside(t *testing.T) *beside {
	pages, built := web.Pages()
	if !built {
		t.Skip("SKIPPED: the pages are not built; make web builds them")
	}
	t.Setenv(asVstack, "1") // of the command that uploads
	l, err := lab.Init(t.Context(), lab.Spec{Spec: deploy.Spec{LogLevel: "warn", Superblock: 64 << 20}, Under: t.TempDir(), Needs: lab.Namespaces | lab.Links, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	l.Env = []string{asVstack + "=1"}
	tcp := congestion(t, l)
	admin, err := l.Serve(t.Context(), os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Meta.Close)
	file := filepath.Join(t.TempDir(), "film.mp4")
	if err := players.Clip(t.Context(), file, players.Picture{Seconds: besideSeconds, Rate: besideRate, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	id, err := players.Upload(t.Context(), os.Args[0], l.Lab.Client, file, "Side by side")
	if err != nil {
		t.Fatal(err)
	}
	assets, err := fs.Sub(pages, "assets")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /page/", http.StripPrefix("/page/", http.FileServer(http.Dir("testdata"))))
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	mux.Handle("GET /lib/", http.StripPrefix("/lib/", http.FileServer(http.Dir(playersOfOthers))))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	// Players of others want a certificate that the browser knows, as that of a public gateway is.
	alloc, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-component-update", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("ignore-certificate-errors", true), chromedp.WSURLReadTimeout(scenarioTimeout))...)
	t.Cleanup(stop)
	browser, stopBrowser := chromedp.NewContext(alloc)
	t.Cleanup(stopBrowser)
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	return &beside{lab: l, film: id.String(), gateway: "https://" + l.Hosts[0].Config.Gateway.Addr, page: srv.URL + "/page/beside.html", tcp: tcp, browser: browser}
}

// congestion chooses how the hosts' TCP reacts to loss, and tells.
func congestion(t *testing.T, l *lab.Lab) string {
	const key = "net.ipv4.tcp_congestion_control"
	var said []byte
	for i := range l.Hosts {
		args := []string{"netns", "exec", filepath.Base(l.Net.Path(i)), "sysctl", "-n", key}
		if wanted := os.Getenv("VSTACK_TCP"); wanted != "" {
			args = append(args[:4], "-n", "-w", key+"="+wanted)
		}
		var err error
		if said, err = exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	return strings.TrimSpace(string(said))
}

// compare plays in turns and prints what the players took.
func (b *beside) compare(t *testing.T, sc links.Scenario, kinds []string, pairs int) {
	took := map[string][]besides{}
	worst := 0.0
	for seed := range uint64(pairs) {
		r := links.Rand(seed + 1)
		layout := sc.Draw(r, nil)
		to := 40 + 40*r.Float64()
		for k := range kinds {
			kind := kinds[(k+int(seed))%len(kinds)]
			got, late, err := b.play(t, layout, kind, to)
			worst = max(worst, late)
			t.Logf("pair %d, %s: first picture %.2f s, seek %.2f s, %d waits, %.2f s late, links late %.1f ms %v", seed+1, kind, got.First, got.Seek, got.Waits, got.Late, late*1e3, got.Steps)
			if err != nil && kind == "stores" {
				t.Errorf("pair %d: %v", seed+1, err)
			} else if err != nil {
				t.Logf("pair %d, %s: %v", seed+1, kind, err)
			}
			got.failed = err != nil
			took[kind] = append(took[kind], got)
		}
	}
	t.Logf("%s (%s), %d pairs, TCP by %s, links late by at most %.1f ms (p95)", sc.Name, sc.Doc, pairs, b.tcp, worst*1e3)
	for _, kind := range kinds[1:] {
		for _, m := range []struct {
			name string
			of   func(besides) float64
		}{{"first picture", func(o besides) float64 { return o.First }}, {"cold seek", func(o besides) float64 { return o.Seek }}} {
			var ours, theirs, ratio []float64
			for i, o := range took["stores"] {
				if other := took[kind][i]; !o.failed && !other.failed {
					ours, theirs, ratio = append(ours, m.of(o)), append(theirs, m.of(other)), append(ratio, math.Log(m.of(o)/m.of(other)))
				}
			}
			in := paired.Bootstrap(ratio)
			t.Logf("%-13s stores %.2f s, %s %.2f s (medians of %d); ratio %.2f (%.2f to %.2f, 95 %%)", m.name, paired.Quantile(ours, 0.5), kind, paired.Quantile(theirs, 0.5), len(ratio),
				math.Exp(in.Mean), math.Exp(in.Low), math.Exp(in.High))
		}
	}
	for _, kind := range kinds {
		waits, failed, late := 0, 0, 0.0
		for _, o := range took[kind] {
			if waits, late = waits+o.Waits, late+o.Late; o.failed {
				failed++
			}
		}
		t.Logf("%s: %d waits, %.2f s late in all, %d times not played", kind, waits, late, failed)
	}
}

// play opens a page without cookies, caches and connections, and plays in it.
func (b *beside) play(t *testing.T, n links.Layout, kind string, to float64) (got besides, late float64, err error) {
	tab, close := chromedp.NewContext(b.browser, chromedp.WithNewBrowserContext())
	defer close()
	tab, stop := context.WithTimeout(tab, scenarioTimeout)
	defer stop()
	if err := chromedp.Do(tab, chromedp.Navigate(b.page)); err != nil {
		return got, 0, fmt.Errorf("open the page: %w", err)
	}
	if _, err := chromedp.Run(tab, chromedp.Poll[bool](`typeof beside === "function"`)); err != nil {
		return got, 0, fmt.Errorf("load the page: %w", err)
	}
	if err := errors.Join(b.lab.Net.CountAnew(), screening.SetLinks(b.lab, n)); err != nil {
		return got, 0, err
	}
	said, err := chromedp.Run(tab, chromedp.Evaluate[string](fmt.Sprintf(`beside(%q, %q, %q, %f, %d).then(JSON.stringify, e => JSON.stringify({error: String(e)}))`,
		kind, b.gateway, b.film, to, besidePlays), chromedp.EvalAwaitPromise))
	late, kept := screening.Lateness(b.lab)
	if !errors.Is(kept, link.ErrLate) {
		err = errors.Join(err, kept)
	}
	if err = errors.Join(err, screening.Calm(t.Context(), b.lab)); err != nil {
		return got, late, err
	}
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		return got, late, err
	}
	if got.First == 0 || got.Seek == 0 || got.Landed < to {
		return got, late, fmt.Errorf("it was not played: %s", said)
	}
	return got, late, nil
}
