package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/vstack/vstack/internal/wire"
)

// TestThePagesPlayAPrivateFilm plays a film that was never public: at the console, whose page
// reads from the stores with a token that the console signs, and at a gateway by an address with
// a token in it. No log of any host has a token.
func TestThePagesPlayAPrivateFilm(t *testing.T) {
	needPages(t)
	s := newScenario(t)
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", clip(t, "20", "1"), "--title", "A private film", "--visibility", "private")
	id := jobs.Items[0].Video
	console := s.console()
	b := s.chromium(chromedp.Flag("ignore-certificate-errors", true)) // of the gateway, whose authority no browser has
	b.do(chromedp.Navigate(console))
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/videos"]`)))
	b.until(`[...document.querySelectorAll(".film .badge")].some(e => e.textContent === "private")`)
	b.do(chromedp.Click(chromedp.Search(".film a.cover")))
	b.until(`(document.querySelector("video")?.currentTime ?? 0) > 1`)
	if p := b.player(); p.Useful == 0 {
		t.Errorf("nothing was read from the stores, %v bytes through the gateway", p.Gateway)
	}
	s.step("it plays at the console")
	// Another token in the middle of it: sessions are opened anew, and it plays on.
	b.until(`document.querySelector("video").player.prolong(), document.querySelector("video").currentTime = 12, true`)
	b.until(`!document.querySelector("video").seeking && document.querySelector("video").currentTime > 12.5`)
	b.do(chromedp.Click(chromedp.Search(`.links button`)))
	b.until(`[...document.querySelectorAll(".links code")].some(e => e.textContent.includes("/t/"))`)
	link := ask[string](b, `[...document.querySelectorAll(".links code")].find(e => e.textContent.endsWith("master.m3u8")).textContent`)
	_, token, _ := strings.Cut(link, "/t/")
	token, _, _ = strings.Cut(token, "/")
	b.shot("private")
	s.step("the console gives a link")

	b.do(chromedp.Navigate("about:blank"))
	gateway := "https://" + s.lab.Hosts[0].Config.Gateway.Addr
	b.do(chromedp.Navigate(gateway + "/watch/" + id.String() + "?t=" + token))
	b.until(`(document.querySelector("video")?.currentTime ?? 0) > 1`)
	if p := b.player(); p.Useful == 0 {
		t.Errorf("by a link nothing was read from the stores, %v bytes through the gateway", p.Gateway)
	}
	s.step("it plays at a gateway by its link")
	b.do(chromedp.Navigate(gateway + "/watch/" + id.String()))
	b.until(`document.querySelector("[role=alert]") !== null`)
	for _, h := range s.lab.Hosts {
		log, err := os.ReadFile(h.Log())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(log, []byte("eyJ")) {
			t.Errorf("a token is in %s", filepath.Base(h.Log()))
		}
	}
}
