package demo

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/cluster/show"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// Result is what `vstack demo -o json` prints.
type Result struct {
	Lab           string               `json:"lab"`
	Videos        int                  `json:"videos"` // in the lab
	Video         vstack.Video         `json:"video"`
	Tracks        []vstack.Track       `json:"tracks"`
	Found         bool                 `json:"found"` // stored by an earlier run
	Upload        *wire.Job            `json:"upload,omitempty"`
	UploadTook    float64              `json:"upload_took,omitempty"` // seconds
	Playback      quicclient.Report    `json:"playback"`
	Copies        cluster.VerifyReport `json:"copies"`
	Raft          wire.RaftStatus      `json:"raft"`
	HostsCanFail  int                  `json:"hosts_can_fail"`
	StoresCanFail int                  `json:"stores_can_fail"`
	Hosts         []Host               `json:"hosts"`
}

// Host is one process of the lab.
type Host struct {
	ID   string `json:"id"`
	Addr string `json:"addr"`
	Pid  int    `json:"pid"`
	Log  string `json:"log"`
}

// printSummary is the demo's table: what happened, who served, what to try.
func (d *demo) printSummary(r *Result) {
	paint := d.cfg.Paint
	line := func(name, format string, args ...any) {
		fmt.Fprintf(d.p.Out, "  %s %s\n", paint.Accent(fmt.Sprintf("%-10s", name)), fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(d.p.Out)
	line("video", "%s, %s, %s", paint.Bold(r.Video.Title), console.Clock(r.Video.Duration), console.Bytes(r.Video.Size))
	for _, t := range r.Tracks {
		line("", "%s", show.TrackText(t))
	}
	if r.Found {
		line("stored", "by an earlier start; %s in this lab", console.Count(r.Videos, "video"))
	} else {
		line("stored", "%d chunks in %s", r.Upload.Chunks, console.Seconds(r.UploadTook))
	}
	line("votes", "%s", votesText(r.Copies))
	line("may fail", "any %s or any %s, and every chunk can still be read", console.Count(r.HostsCanFail, "host"), console.Count(r.StoresCanFail, "store"))
	line("metadata", "leader %s, term %d; %d of %d members may fail", paint.Bold(cmp.Or(r.Raft.Leader, "none")), r.Raft.Term, r.Raft.CanFail, len(r.Raft.Peers))
	line("played", "%s chunks verified by SHA-256, in %s; first picture after %s, %d stalls",
		paint.Good(fmt.Sprintf("%d of %d", r.Playback.Verified, r.Playback.Total)), protocols(r.Playback), console.Seconds(r.Playback.Startup), r.Playback.Stalls)
	for i, row := range show.Shares(r.Playback) {
		name := ""
		if i == 0 {
			name = "served by"
		}
		line(name, "%-20s %s %s", row[0], paint.Good(row[1]), row[2])
	}
	d.printNext(r, paint, line)
}

// votesText tells how many stores voted for each chunk. A store votes only for bytes
// that it holds durably, and Verify has just read and hashed each copy.
func votesText(v cluster.VerifyReport) string {
	var parts []string
	for copies := len(v.ByCopies) - 1; copies >= 0; copies-- {
		if n := v.ByCopies[copies]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s by %s", console.Count(n, "chunk"), console.Count(copies, "store")))
		}
	}
	return fmt.Sprintf("%s; %d of %d copies read back and hashed", strings.Join(parts, ", "), v.Good, v.Copies)
}

func protocols(r quicclient.Report) string {
	var parts []string
	for p, n := range r.Protocols {
		name := map[string]string{"h3": "HTTP/3", "h2": "HTTP/2"}[p] // a host may be called h3, too
		parts = append(parts, fmt.Sprintf("%s over %s", console.Count(n, "request"), cmp.Or(name, p)))
	}
	return strings.Join(parts, ", ")
}

func (d *demo) printNext(r *Result, paint console.Painter, line func(name, format string, args ...any)) {
	if d.cfg.Once {
		return
	}
	exe := d.cfg.Args0
	client := d.lab.Client
	fmt.Fprintln(d.p.Out)
	for i, h := range r.Hosts {
		name := ""
		if i == 0 {
			name = "hosts"
		}
		line(name, "%s at %s, process %d, log %s", h.ID, h.Addr, h.Pid, h.Log)
	}
	self, ok := d.lab.Hosts[0].Config.Self()
	if ok {
		line("look at", "curl --cacert %s/ca.crt https://%s/v1/videos", client, self.API)
		line("", "curl --cacert %s/ca.crt https://%s/metrics", client, self.API)
	}
	fmt.Fprintln(d.p.Out)
	run := exe + " --cluster " + client
	line("try", "%s", paint.Bold(run+" video play "+r.Video.ID.String()+" --speed 1"))
	line("", "%s video upload FILE", run)
	line("", "%s video verify %s --deep", run, r.Video.ID)
	line("", "%s raft status", run)
	last := r.Hosts[len(r.Hosts)-1]
	line("", "kill -9 %d   while it plays: %s is gone, the playback goes on, it comes back after %s", last.Pid, last.ID, reviveAfter.Round(time.Second))
}
