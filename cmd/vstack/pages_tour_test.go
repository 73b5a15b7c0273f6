package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// visits are the pages of the console, and what each shows of a healthy lab of three hosts
// with two stores each in which a film was played.
var visits = []struct{ name, path, shows string }{
	{"overview", "/", `document.querySelectorAll(".hosts .host").length === 3 && document.querySelector(".health.good")?.textContent.startsWith("Healthy: 6 stores on 3 hosts") && ![...document.querySelectorAll(".hosts .soft")].some(e => e.textContent === "no report")`},
	{"stores", "/stores", `document.querySelectorAll("table.wide tbody tr").length === 6`},
	{"groups", "/groups", `document.querySelectorAll(".cell.good").length > 100`},
	{"raft", "/raft", `document.querySelectorAll("table.wide tbody tr").length === 3`},
	{"events", "/events", `[...document.querySelectorAll("table.wide .badge")].some(e => e.textContent === "published")`},
	{"live", "/live", `document.querySelector('td a[href^="/live/"]') !== null`},
	{"upload", "/upload", `document.querySelector(".drop") !== null`},
	{"consensus", "/consensus", `document.querySelector(".what")?.textContent.includes("PUT slot 1")`},
	{"compare", "/compare", `document.querySelector("main h1") !== null`},
	{"drills", "/drills", `document.querySelectorAll("main select option").length > 10`},
}

// tour walks through the console as a person does, and holds every page to what anybody
// needs: nothing wider than a phone, nothing that axe-core finds, in both colours.
func (s *scenario) tour(b *browser) {
	s.Helper()
	axe := axeCore(s.T)
	for _, v := range visits {
		b.do(chromedp.Click(chromedp.Search(`nav a[href="` + v.path + `"]`)))
		b.until(v.shows)
		b.accessible(axe, v.name)
		b.shot(v.name)
		b.do(chromedp.Click(chromedp.Search(`header .segments button:nth-child(3)`)), chromedp.EmulateViewport(360, 800))
		b.until(`document.documentElement.dataset.theme === "dark" && innerWidth === 360`)
		b.accessible(axe, v.name+", dark and narrow")
		if wide := ask[float64](b, `document.documentElement.scrollWidth`); wide > 360 {
			s.Errorf("%s is %v pixels wide on a screen of 360", v.name, wide)
		}
		b.shot(v.name + "-narrow-dark")
		b.do(chromedp.Click(chromedp.Search(`header .segments button:nth-child(1)`)), chromedp.EmulateViewport(1280, 900))
		b.until(`innerWidth === 1280`)
	}
	s.step("every page shows what it should")
	b.transfers()
	b.decides()
	b.stepsByKeyboard()
	b.compares()
	b.drills()
	b.hears()
}

// compares has two policies play the film in pairs.
func (b *browser) compares() {
	b.Helper()
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/compare"]`)))
	b.until(`document.querySelector("main button.main")?.disabled === false`)
	b.until(`[...document.querySelectorAll('main input[type="number"]')].forEach((e, i) => (e.value = [2, 4, 4][i], e.dispatchEvent(new Event("change", {bubbles: true})))), true`)
	b.do(chromedp.Click(chromedp.Search(`main button.main`)))
	b.until(`[...document.querySelectorAll("h2")].some(h => h.textContent === "2 pairs") && document.querySelectorAll("main tbody .badge").length >= 3`)
	b.shot("compared")
	b.step("two clients are compared")
	b.until(`(e => e && (e.value = "loss-2", e.dispatchEvent(new Event("change", {bubbles: true}))))([...document.querySelectorAll("main select")].find(e => [...e.options].some(o => o.value === "loss-2")))`)
	b.until(`document.querySelector("main .cmd code").textContent.includes("bench run playback --links loss-2 --policy smart,round-robin")`)
	b.until(`[...document.querySelectorAll('main input[type="number"]')].forEach((e, i) => (e.value = [1, 4, 4][i], e.dispatchEvent(new Event("change", {bubbles: true})))), true`)
	b.do(chromedp.Click(chromedp.Search(`main button.main`)))
	// A machine that is too busy to keep the links' times says so in place of figures.
	b.until(`[...document.querySelectorAll("h2")].some(h => h.textContent === "1 pair") && (document.querySelectorAll("main tbody tr").length >= 5 && document.querySelector("main").textContent.includes("40 ms, 2 % of packets lost") || document.querySelector(".notice.warn") !== null)`)
	b.until(`fetch("/v1/compare").then(a => a.json()).then(c => window.compared = c), window.compared !== undefined`)
	if took := ask[float64](b, `window.compared.runs[0].smart.startup`); took < 0.08 {
		b.Errorf("the first picture after %v s, over links of which a handshake and an answer take 0.08", took)
	}
	b.shot("compared-linked")
	b.step("and over links that lose packets")
}

// drills hands the leadership over by a drill, beside catalog writes, and reads what it measured.
func (b *browser) drills() {
	b.Helper()
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/drills"]`)))
	b.until(`(([e]) => e && (e.value = "transfer", e.dispatchEvent(new Event("change", {bubbles: true}))))(document.querySelectorAll("main select"))`)
	b.do(chromedp.Click(chromedp.Search(`//label[contains(., "uploads")]`)), chromedp.Click(chromedp.Search(`//label[contains(., "viewers")]`)))
	b.do(chromedp.Click(chromedp.Search(`//button[.="Begin…"]`)))
	b.until(`document.querySelector("dialog[open] .cmd code")?.textContent.includes("drill run transfer --hosts FILE --repeat 1 --load meta --yes")`)
	b.do(chromedp.Click(chromedp.Search(`dialog[open] button.danger`)))
	// Whether its bounds of time held is the machine's affair; that it came to its end, and lost nothing, is not.
	b.until(`/^(every bound held|\d+ missed)$/.test(document.querySelector("h2 .badge")?.textContent) && document.querySelectorAll(".log li").length >= 3 && document.querySelectorAll("main tbody .badge").length >= 4`)
	if lost := ask[string](b, `[...document.querySelectorAll(".stats-row > *")].find(e => e.textContent.startsWith("Lost"))?.textContent ?? ""`); !strings.HasPrefix(lost, "Lost0") {
		b.Errorf("what the page says is lost: %q", lost)
	}
	b.shot("drilled")
	b.step("a drill is done by a button")
}

// decides pauses the moves of films and changes the policy, and reads in the events who did.
func (b *browser) decides() {
	b.Helper()
	// A dialog that is not shut yet would take the click that is meant for the page.
	press := func(text string) { b.do(chromedp.Click(chromedp.Search(`//button[.="` + text + `"]`))) }
	shut := func() { b.until(`document.querySelector("dialog[open]") === null`) }
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/"]`)))
	press("Pause moves")
	press("Pause")
	b.until(`[...document.querySelectorAll(".badge")].some(e => e.textContent === "moves are paused")`)
	shut()
	press("Policy…")
	b.until(`(([e]) => e && (e.value = 77, e.dispatchEvent(new Event("input", {bubbles: true}))))(document.querySelectorAll('dialog[open] input[type="number"]'))`)
	b.shot("policy")
	press("Set it")
	b.until(`document.querySelector("dialog[open]") === null || document.querySelector("dialog[open] [role=alert]") !== null`)
	if said := ask[string](b, `document.querySelector("dialog[open] [role=alert]")?.textContent ?? ""`); said == "" {
		b.Error("a policy that warms below what it cools at was taken")
	}
	press("Cancel")
	shut()
	press("Policy…")
	b.until(`(([a, c]) => c !== undefined && (a.value = 2000, c.value = 77, [a, c].forEach(e => e.dispatchEvent(new Event("input", {bubbles: true}))), true))(document.querySelectorAll('dialog[open] input[type="number"]'))`)
	press("Set it")
	shut()
	press("Resume moves")
	press("Resume")
	b.until(`![...document.querySelectorAll(".badge")].some(e => e.textContent === "moves are paused")`)
	var now wire.Redundancy
	b.vstackJSON(&now, "redundancy", "status")
	if now.Policy.WarmAbove != 2000 || now.Policy.CoolBelow != 77 || now.Paused {
		b.Errorf("policy %+v, paused %v", now.Policy, now.Paused)
	}
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/events"]`)))
	b.until(`[...document.querySelectorAll("table.wide tbody tr")].some(r => r.textContent.includes("policy") && r.textContent.includes("admin"))`)
	b.step("the policy is changed, and the events say by whom")
}

// hears finds a playback of the command line on the page.
func (b *browser) hears() {
	b.Helper()
	var list wire.List[vstack.Video]
	b.vstackJSON(&list, "video", "ls")
	var r quicclient.Report
	b.vstackJSON(&r, "video", "play", list.Items[0].ID.String(), "--speed", "8")
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/live"]`)))
	b.until(`[...document.querySelectorAll('td a[href^="/live/"]')].some(a => a.textContent === "vstack video play")`)
	b.do(chromedp.Click(chromedp.Search(`//td/a[.="vstack video play"]`)))
	b.until(`document.querySelectorAll("table.wide tbody tr").length > 0`)
	b.shot("session")
	b.step("vstack video play is seen with its stores")
}

// transfers lets another member lead, by the catalog's page.
func (b *browser) transfers() {
	b.Helper()
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/raft"]`)))
	b.until(`document.querySelector("table.wide .acts button") !== null`)
	to := ask[string](b, `document.querySelector("table.wide .acts button").closest("tr").querySelector("b").textContent`)
	b.do(chromedp.Click(chromedp.Search(`table.wide .acts button`)))
	b.until(`document.querySelector("dialog[open] .cmd code")?.textContent === "$ vstack raft transfer --to ` + to + `"`)
	b.do(chromedp.Click(chromedp.Search(`dialog[open] button.main`)))
	b.until(`document.querySelector("dialog[open]") === null && document.querySelector(".stat .value").textContent === "` + to + `"`)
	b.step("%s leads, as the page asked", to)
}

// stepsByKeyboard plays a scenario of the consensus with keys alone, breaks it, and finds
// the step again by its address.
func (b *browser) stepsByKeyboard() {
	b.Helper()
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/consensus"]`)))
	b.until(`document.querySelector(".what")?.textContent.includes("PUT slot 1")`)
	b.do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowLeft))
	b.until(`location.search === "?play=normal&step=2"`)
	b.do(chromedp.KeyEvent(kb.End))
	b.until(`document.querySelector("tfoot .badge.good")?.textContent === "u1 is chosen"`)
	b.do(chromedp.KeyEvent(kb.Home))
	b.until(`location.search.endsWith("step=1")`)
	b.do(chromedp.Click(chromedp.Search(`//button[.="Sandbox"]`)))
	b.do(chromedp.Click(chromedp.Search(`//button[.="Kill C"]`)))
	b.until(`document.querySelector('.tabs [aria-pressed="true"]')?.textContent === "Your script" && document.querySelector(".diagram .down") !== null`)
	b.do(chromedp.KeyEvent(kb.End))
	b.until(`document.querySelector(".what")?.textContent.includes("A, B hold it")`)
	b.until(`scrollTo(0, 0), true`)
	b.shot("consensus-sandbox")
	b.do(chromedp.Reload())
	b.until(`document.querySelector(".what")?.textContent.includes("A, B hold it")`)
	b.step("the consensus is stepped through by keys, broken, and found again by its address")
}

// axeCore is the source of axe-core, a tool of the tests alone; empty where npm did not
// fetch it.
func axeCore(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", "web", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Log("SKIPPED: axe-core is not there; npm ci in web fetches it")
	}
	return string(source)
}

// accessible holds the page to axe-core's rules.
func (b *browser) accessible(axe, name string) {
	b.Helper()
	if axe == "" {
		return
	}
	b.do(chromedp.Evaluate[chromedp.Void](axe + `;window.found = undefined; axe.run().then(r => window.found = JSON.stringify(r.violations.map(v => [v.id, ...v.nodes.map(n => n.target.join(" "))]))); undefined`))
	b.until(`window.found !== undefined`)
	var found [][]string
	if err := json.Unmarshal([]byte(ask[string](b, `window.found`)), &found); err != nil {
		b.Fatal(err)
	}
	for _, f := range found {
		b.Errorf("%s: axe-core finds %q", name, f)
	}
}
