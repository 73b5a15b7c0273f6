package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// outcome is a drill's report.
type outcome struct {
	Took float64 `json:"took"`
}

func (o outcome) WriteHTML(w io.Writer) error {
	_, err := fmt.Fprintf(w, "<h1>%v</h1>", o.Took)
	return err
}

// breaks are two drills, of which one cannot be done. What runs says a line a second and ends
// after ten; to end earlier takes it a while to mend.
type breaks struct {
	mends time.Duration
	fails error
}

func (breaks) Ls() []Drill {
	return []Drill{{Name: "kill-leader", Doc: "kills"}, {Name: "hung-disk", Doc: "hangs", Lacks: "no command to freeze"}}
}

func (breaks) Command(r DrillRequest) string {
	return fmt.Sprintf("vstack drill run %s --repeat %d --load %s", r.Name, r.Repeat, strings.Join(r.Loads, ","))
}

func (b breaks) Run(ctx context.Context, r DrillRequest, say func(string)) (DrillReport, error) {
	for n := range 10 {
		select {
		case <-ctx.Done():
			time.Sleep(b.mends) // none outside of a bubble
			return outcome{float64(n)}, nil
		case <-time.After(time.Second):
			say(fmt.Sprintf("%s %d", r.Name, n))
		}
	}
	return outcome{10}, b.fails
}

func TestADrillTellsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriller(breaks{mends: 2 * time.Second})
		defer d.close()
		if err := d.start(DrillRequest{Name: "kill-leader"}); err != nil {
			t.Fatal(err)
		}
		if err := d.start(DrillRequest{Name: "kill-leader"}); !errors.Is(err, vstack.ErrAlreadyExists) {
			t.Errorf("a second one: %v", err)
		}
		time.Sleep(3500 * time.Millisecond) // of the bubble
		if run := d.reply().Run; !run.Running || run.Report != nil || len(run.Lines) != 3 || run.Lines[2] != (DrillLine{3, "kill-leader 2"}) ||
			run.Command != "vstack drill run kill-leader --repeat 1 --load meta,upload,play" {
			t.Errorf("under way: %+v", run)
		}
		d.halt()
		synctest.Wait()
		if run := d.reply().Run; !run.Running || !run.Stopping {
			t.Errorf("being stopped: %+v", run)
		}
		time.Sleep(2 * time.Second) // of the bubble
		synctest.Wait()
		if run := d.reply().Run; run.Running || run.Stopping || run.Error != "" || run.Report != (outcome{3}) {
			t.Errorf("stopped: %+v", run)
		}
		d.halt() // nothing runs
		d.drills = breaks{fails: vstack.ErrUnavailable}
		if err := d.start(DrillRequest{Name: "kill-leader", Repeat: 2, Loads: []string{}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		if run := d.reply().Run; run.Running || run.Error == "" || run.Report != (outcome{10}) || len(run.Lines) != 10 {
			t.Errorf("failed: %+v", run)
		}
	})
}

func TestDrillsOverHTTP(t *testing.T) {
	s, _ := open(t)
	for _, tc := range []struct {
		name string
		ask  ask
		want int
	}{
		{"a stranger's", ask{method: "POST", path: "/v1/drills", body: `{"name":"kill-leader"}`}, 401},
		{"a stranger's look", ask{method: "GET", path: "/v1/drills"}, 401},
		{"another site's", ask{method: "POST", path: "/v1/drills", token: s.token, origin: "https://elsewhere", body: `{"name":"kill-leader"}`}, 403},
		{"no report", ask{method: "GET", path: "/v1/drills/report", token: s.token}, 404},
		{"unknown", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{"name":"flood"}`}, 404},
		{"not here", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{"name":"hung-disk"}`}, 400},
		{"too many", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{"name":"kill-leader","repeat":21}`}, 400},
		{"no load", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{"name":"kill-leader","loads":["abuse"]}`}, 400},
		{"too long", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{"name":"kill-leader","pause":31}`}, 400},
		{"no name", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{}`}, 404},
		{"no JSON", ask{method: "POST", path: "/v1/drills", token: s.token, body: `kill-leader`}, 400},
		{"begun", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{"name":"kill-leader"}`}, 202},
		{"a second", ask{method: "POST", path: "/v1/drills", token: s.token, body: `{"name":"kill-leader"}`}, 409},
		{"stopped", ask{method: "DELETE", path: "/v1/drills", token: s.token}, 204},
	} {
		if got, body, _ := s.answer(t, tc.ask); got != tc.want {
			t.Errorf("%s: status %d, want %d: %s", tc.name, got, tc.want, body)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, body, _ := s.answer(t, ask{method: "GET", path: "/v1/drills", token: s.token})
		var got struct {
			Items []Drill `json:"items"`
			Run   struct {
				Running bool     `json:"running"`
				Report  *outcome `json:"report"`
			} `json:"run"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if !got.Run.Running && got.Run.Report != nil && len(got.Items) == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not end: %s", body)
		}
	}
	got, body, header := s.answer(t, ask{method: "GET", path: "/v1/drills/report", token: s.token})
	if got != http.StatusOK || !strings.HasPrefix(body, "<h1>") || !strings.HasPrefix(header.Get("Content-Disposition"), `attachment; filename="drill-kill-leader-`) {
		t.Errorf("the report: %d %q %v", got, body, header)
	}
}
