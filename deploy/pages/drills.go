package pages

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Bounds of a drill that a page begins.
const (
	maxRepeat = 20
	maxAway   = 30 // seconds that a host is stopped, cut off or away
	// maxLines bounds what a drill says; a repetition says some twenty lines.
	maxLines = 2000
)

// Drills break the cluster on purpose, under load, and tell what clients noticed.
type Drills interface {
	// Ls lists all there are, with why one cannot be done to this cluster.
	Ls() []Drill
	// Command is what a person types for the same.
	Command(DrillRequest) string
	// Run returns once the drill is over, or has been ended by ctx, and has mended what it
	// hurt; say hears what happens. With an error the report is of what there was until then,
	// or nil.
	Run(ctx context.Context, r DrillRequest, say func(line string)) (DrillReport, error)
}

// DrillReport is what a drill measured: its JSON is that of vstack drill run -o json.
type DrillReport interface {
	WriteHTML(w io.Writer) error
}

// Drill is a kind of fault.
type Drill struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
	// Lacks says why it cannot be done to this cluster; empty when it can.
	Lacks string `json:"lacks,omitempty"`
}

// DrillRequest asks for one.
type DrillRequest struct {
	Name   string   `json:"name"`
	Repeat int      `json:"repeat"`
	Pause  float64  `json:"pause"` // seconds that a host is stopped or away; 0: what the drill draws
	Loads  []string `json:"loads"` // of upload, play and meta
}

// DrillLine is one thing that happened.
type DrillLine struct {
	At   float64 `json:"at"` // seconds since the start
	Text string  `json:"text"`
}

// DrillRun is a drill and how far it is.
type DrillRun struct {
	DrillRequest
	Command  string      `json:"command"`
	Running  bool        `json:"running"`
	Stopping bool        `json:"stopping"`
	Started  time.Time   `json:"started"`
	Lines    []DrillLine `json:"lines"`
	Error    string      `json:"error,omitempty"`
	Report   DrillReport `json:"report,omitempty"`
}

// DrillsReply is what the page of the drills shows: those that there are, and the last one.
type DrillsReply struct {
	Items []Drill   `json:"items"`
	Run   *DrillRun `json:"run,omitempty"`
}

// drillLoads are what clients may do meanwhile.
var drillLoads = []string{"meta", "upload", "play"}

// driller runs one drill at a time.
type driller struct {
	*single
	drills Drills
	now    *DrillRun // nil before the first
}

func newDriller(d Drills) *driller { return &driller{single: newSingle("drill"), drills: d} }

// check refuses what is no drill of this cluster, and fills in what a request leaves out.
func (d *driller) check(r *DrillRequest) error {
	all := d.drills.Ls()
	i := slices.IndexFunc(all, func(one Drill) bool { return one.Name == r.Name })
	if r.Repeat == 0 {
		r.Repeat = 1
	}
	if r.Loads == nil {
		r.Loads = drillLoads
	}
	switch {
	case i < 0:
		return fmt.Errorf("drill %q: %w: there is no such drill", clip(r.Name), vstack.ErrNotFound)
	case all[i].Lacks != "":
		return fmt.Errorf("drill %s: %w: %s", r.Name, vstack.ErrInvalid, all[i].Lacks)
	case r.Repeat < 1 || r.Repeat > maxRepeat || !(r.Pause >= 0 && r.Pause <= maxAway):
		return fmt.Errorf("drill %s: %w: want 1 to %d faults of at most %d s", r.Name, vstack.ErrInvalid, maxRepeat, maxAway)
	}
	for _, l := range r.Loads {
		if !slices.Contains(drillLoads, l) {
			return fmt.Errorf("drill %s: %w: load %q: want some of %v", r.Name, vstack.ErrInvalid, clip(l), drillLoads)
		}
	}
	return nil
}

// start begins a drill unless one runs.
func (d *driller) start(r DrillRequest) error {
	if err := d.check(&r); err != nil {
		return err
	}
	began := time.Now()
	run := &DrillRun{DrillRequest: r, Command: d.drills.Command(r), Running: true, Started: began, Lines: []DrillLine{}}
	return d.begin(func() { d.now = run }, func(ctx context.Context) func() {
		report, err := d.drills.Run(ctx, r, func(line string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if len(run.Lines) < maxLines {
				run.Lines = append(run.Lines, DrillLine{time.Since(began).Seconds(), line})
			}
		})
		return func() {
			run.Running, run.Stopping, run.Report = false, false, report
			if err != nil && ctx.Err() == nil {
				run.Error = err.Error()
			}
		}
	})
}

// halt has what runs mend what it hurt and end.
func (d *driller) halt() {
	d.cancel(func() { d.now.Stopping = true })
}

// reply is a copy that the drill leaves alone.
func (d *driller) reply() DrillsReply {
	out := DrillsReply{Items: d.drills.Ls()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now != nil {
		now := *d.now
		now.Lines = slices.Clone(now.Lines)
		out.Run = &now
	}
	return out
}

func (s *Server) getDrills(w http.ResponseWriter, _ *http.Request) { answer(w, s.drills.reply()) }

func (s *Server) postDrill(w http.ResponseWriter, r *http.Request) {
	var req DrillRequest
	err := read(w, r, &req)
	if err == nil {
		err = s.drills.start(req)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// deleteDrill has the drill mend what it hurt and end.
func (s *Server) deleteDrill(w http.ResponseWriter, _ *http.Request) {
	s.drills.halt()
	w.WriteHeader(http.StatusNoContent)
}

// getDrillReport is the last report as a page of its own, to be kept.
func (s *Server) getDrillReport(w http.ResponseWriter, _ *http.Request) {
	run := s.drills.reply().Run
	if run == nil || run.Report == nil {
		refuse(w, fmt.Errorf("report of a drill: %w: none has ended", vstack.ErrNotFound))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="drill-%s-%s.html"`, run.Name, run.Started.UTC().Format("20060102-150405")))
	w.Header().Set("Cache-Control", "no-store")
	_ = run.Report.WriteHTML(w) // the page may be gone; there is nobody else to tell
}
