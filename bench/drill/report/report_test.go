package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// sample is a report of n repetitions, one bound of which was missed.
func sample(n int) *Report {
	r := New(Params{Drill: "kill-leader", Doc: "SIGKILL", Repeat: n, Loads: []Load{LoadMeta, LoadPlay}, Seed: 1})
	r.Began = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	y := newTally()
	for i := range n {
		zero := r.Began.Add(time.Duration(i) * time.Minute)
		tl := &Timeline{Fault: zero}
		tl.rep.Victims = []vstack.HostID{"h1"}
		tl.rep.Events = []Event{{0.002, EventFault, "h1 <killed>"}, {0.5, EventLeader, "h2 leads"}, {2, EventHealed, "healed"}}
		tl.Led(500 * time.Millisecond)
		rep := tl.finish(acksAt(zero, -300, -20, 600+10*i, 1500), zero.Add(2*time.Second))
		rep.N = i + 1
		r.Repetitions = append(r.Repetitions, rep)
		y.observe(WriteGap, time.Duration(*rep.WriteGap*float64(time.Second)))
	}
	for _, name := range []string{Writes, Reads, Histories, Plays} {
		y.add(name, 1)
	}
	y.add(Stalls, 2)
	r.Timings, r.Counters = y.figures(r.Loads)
	r.Failures = append(r.Failures, "stalls: <script>alert(1)</script>")
	r.judge()
	return r
}

func html(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageStandsAlone(t *testing.T) {
	page := html(t, sample(5))
	for _, outside := range []string{"http:", "https:", "src=", "href=", "@import", "url(", "<script", "<link"} {
		if strings.Contains(page, outside) {
			t.Errorf("the page refers to something: %s", outside)
		}
	}
	for _, want := range []string{"1 bound missed", "kill-leader", "stalls==0", "&lt;script&gt;", "h1 &lt;killed&gt;", "leader_gap"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestDrawingsAreWellFormedAndInside(t *testing.T) {
	page := html(t, sample(7))
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	if len(drawings) != 2 {
		t.Fatalf("%d drawings", len(drawings))
	}
	for _, svg := range drawings {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			el, ok := tok.(xml.StartElement)
			if !ok {
				continue
			}
			for _, a := range el.Attr {
				var x float64
				if name := a.Name.Local; name != "x" && name != "x1" && name != "x2" {
					continue
				}
				if _, err := fmt.Sscan(a.Value, &x); err != nil || x < 0 || x > laneWidth {
					t.Errorf("%s %s=%s is outside", el.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
	if n := strings.Count(page, `<line class="mark leader"`); n != 7 {
		t.Errorf("%d of 7 leaders drawn", n)
	}
}

func TestLongRunsShowTheirWorst(t *testing.T) {
	r := sample(maxLanes + 40)
	l := r.lanes()
	if l.Shown != maxLanes || l.All != maxLanes+40 || len(l.Lanes) != maxLanes {
		t.Fatalf("%d of %d", l.Shown, l.All)
	}
	// The gaps are max(600+10i, 900-10i …) ms: the last repetitions have the longest.
	if last := l.Lanes[maxLanes-1].N; last != maxLanes+40 {
		t.Errorf("the worst is not shown, the last is %d", last)
	}
}

func TestPageOfADrillThatFailedAtOnce(t *testing.T) {
	r := sample(0)
	if page := html(t, r); strings.Contains(page, "<svg") || !strings.Contains(page, "0 of 0 repetitions") {
		t.Error("an empty run is drawn")
	}
}

// The keys are promised to programs: docs/drills.md.
func TestJSONKeys(t *testing.T) {
	var b bytes.Buffer
	if err := sample(1).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(b.Bytes(), &top); err != nil {
		t.Fatal(err)
	}
	if top["schema"] != float64(1) {
		t.Errorf("schema %v", top["schema"])
	}
	first := func(key string) map[string]any { return top[key].([]any)[0].(map[string]any) }
	for where, want := range map[string]struct {
		of   map[string]any
		keys string
	}{
		"report":     {top, "schema drill doc began took machine repeat loads pause seed verdicts timings counters repetitions failures notes"},
		"verdict":    {first("verdicts"), "expr value held"},
		"timing":     {first("timings"), "name doc count min mean p50 p90 p95 p99 p999 max"},
		"counter":    {first("counters"), "name doc value"},
		"repetition": {first("repetitions"), "n began victims leader_gap first_write write_gap heal events acks"},
		"machine":    {top["machine"].(map[string]any), "commit go cpus kernel load_before load_after"},
	} {
		keys := strings.Fields(want.keys)
		for _, k := range keys {
			if _, ok := want.of[k]; !ok {
				t.Errorf("%s lacks %s", where, k)
			}
		}
		if len(want.of) != len(keys) {
			t.Errorf("%s has keys that nobody promised: %v", where, want.of)
		}
	}
}

func TestReportFilesGoByTheirNames(t *testing.T) {
	dir := t.TempDir()
	for name, begins := range map[string]string{"a.json": "{", "b.html": "<!doctype html>", "c.htm": "<!doctype html>"} {
		path := filepath.Join(dir, name)
		if err := sample(1).WriteFile(path); err != nil {
			t.Fatal(err)
		}
		if body, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(body), begins) {
			t.Errorf("%s: %v begins %.20q", name, err, body)
		}
	}
	for _, name := range []string{"a.pdf", "report", ""} {
		if err := CheckFile(name); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTableTellsEveryFigure(t *testing.T) {
	r := sample(2)
	table := r.Table()
	if len(table.Rows) != len(r.Timings)+len(r.Counters) || !strings.Contains(table.Foot, "MISSED  stalls==0: 2") || !strings.Contains(table.Foot, "held    lost_writes==0: 0") {
		t.Errorf("%+v", table)
	}
}

func TestParseLoads(t *testing.T) {
	if l, err := ParseLoads("upload, play,meta,play"); err != nil || len(l) != 3 || l[0] != LoadUpload {
		t.Errorf("%v %v", l, err)
	}
	if l, err := ParseLoads("none"); err != nil || l == nil || len(l) != 0 {
		t.Errorf("%v %v", l, err)
	}
	for _, s := range []string{"", "meta,", "film"} {
		if l, err := ParseLoads(s); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%q: %v %v", s, l, err)
		}
	}
}
