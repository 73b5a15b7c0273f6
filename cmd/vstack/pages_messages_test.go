package main

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/vstack/vstack/internal/wire"
)

// heardWithin is how soon a message that came to a store is on the screen; a machine that others
// use, too, is given more.
const heardWithin = time.Second

// TestThePageHearsMessagesAsTheyCome opens the page of the consensus, uploads a film, and wants the
// messages that ask for its chunks' votes on the screen while they travel, and what was answered.
func TestThePageHearsMessagesAsTheyCome(t *testing.T) {
	needPages(t)
	s := newScenario(t)
	file := clip(t, "30", "1")
	b := s.chromium()
	b.do(chromedp.Navigate(s.console()))
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/consensus"]`)))
	b.until(`document.querySelector('[aria-label="Live messages"] .badge.good')?.textContent === "6 of 6 stores tell"`)
	b.shot("messages-empty")
	// What is new on the screen is noted with how long ago its first message came to a store.
	b.until(`window.late = [], new MutationObserver(() => { for (const e of document.querySelectorAll(".talks > li:not([data-seen])")) { e.dataset.seen = "1"; late.push(Date.now() - e.dataset.first) } }).observe(document.querySelector("main"), { childList: true, subtree: true }), true`)
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", file, "--title", "A film that is voted on")
	b.until(`[...document.querySelectorAll(".talks .badge.good")].length >= 3 && [...document.querySelectorAll(".talks > li")].every(e => e.querySelectorAll("ul li").length === 3)`)
	late := ask[[]float64](b, `window.late`)
	s.step("%d slots heard, the first %.0f ms after it came", len(late), late[0])
	if first := time.Duration(late[0]) * time.Millisecond; first > heardWithin {
		t.Errorf("the first message was on the screen %v after it came to a store, at most %v", first, heardWithin)
	}
	b.until(`document.querySelector(".talks").scrollIntoView({block: "center"}), true`)
	b.accessible(axeCore(t), "messages")
	b.shot("messages")
	b.do(chromedp.Click(chromedp.Search(`header .segments button:nth-child(3)`)), chromedp.EmulateViewport(360, 800))
	b.until(`document.documentElement.dataset.theme === "dark" && innerWidth === 360`)
	b.until(`document.querySelector(".talks").scrollIntoView({block: "start"}), true`)
	b.accessible(axeCore(t), "messages, dark and narrow")
	if wide := ask[float64](b, `document.documentElement.scrollWidth`); wide > 360 {
		t.Errorf("%v pixels wide on a screen of 360", wide)
	}
	b.shot("messages-narrow-dark")
}
