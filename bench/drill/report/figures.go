package report

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The timings, in the order of reports. Assertions name them.
const (
	WriteGap     = "write_gap"     // longest time without an acknowledged write, fault to healed
	FirstWrite   = "first_write"   // fault to the first acknowledgement of a write begun after it
	LeaderGap    = "leader_gap"    // fault to a member that leads in a later term
	Heal         = "heal"          // fault to every host ready, every store up
	WriteLatency = "write_latency" // of acknowledged writes of the meta load
	ReadLatency  = "read_latency"  // of linearizable reads that were answered
	UploadTime   = "upload_time"   // of uploads, retries included
	PlayStartup  = "play_startup"  // until a player could show its first picture

	ProbeTime   = "probe_time"   // of honest requests at a host that strangers attack
	ProbeBeside = "probe_beside" // of the same while they attack a listener that nobody uses
)

// The counters, in the order of reports.
const (
	Writes        = "writes"         // acknowledged
	WriteFailed   = "write_failed"   // given up by the client
	LostWrites    = "lost_writes"    // acknowledged and not read back
	Reads         = "reads"          // linearizable reads that were answered
	ReadRefused   = "read_refused"   // linearizable reads that one member could not serve
	StaleReads    = "stale_reads"    // linearizable reads that were not
	UnknownWrites = "unknown_writes" // of impatient clients, which left before the answer
	Histories     = "histories"      // of one register in one window, checked
	Operations    = "operations"     // in those
	Violations    = "violations"     // histories that are not linearizable
	Undecided     = "undecided"      // histories that the checker did not finish with
	Uploads       = "uploads"        // published
	UploadFailed  = "upload_failed"  // not published within their time
	UploadRetries = "upload_retries" // sent again after an uploader was lost
	LostPublishes = "lost_publishes" // acknowledged publishes that could not be read back
	PublishesRead = "publishes_read" // acknowledged publishes that were read back, every byte
	Plays         = "plays"          // played to the end, or on after a fault
	PlayFailed    = "play_failed"    // ended with an error
	Stalls        = "stalls"         // of all players
	HostExits     = "host_exits"     // hosts that ended by themselves and were started again

	Checksums      = "checksums"       // of two members' catalogs at one index, found equal
	ChecksumSplits = "checksum_splits" // of two members' catalogs at one index, found to differ

	Probes        = "probes"         // honest requests that were answered at a host under attack
	ProbeFailed   = "probe_failed"   // those that were not
	ProbeSlow     = "probe_slow"     // attacks under which they took much longer than beside them
	LivezFailed   = "livez_failed"   // questions after /livez of that host without a 200 in time
	LeaderChanges = "leader_changes" // in attacks
	MemoryOver    = "memory_over"    // attacks in which the host had more memory than its bound
	LogOver       = "log_over"       // attacks in which it wrote more than a MiB of log
)

// metric describes one name that a report carries.
type metric struct {
	name string
	load Load // the load that it needs; empty: none
	doc  string
}

var timings = []metric{
	{WriteGap, LoadMeta, "longest time without an acknowledged write, from fault to healed"},
	{FirstWrite, LoadMeta, "fault to the first acknowledgement of a write begun when it had taken effect"},
	{LeaderGap, "", "fault to a member that leads in a later term"},
	{Heal, "", "fault to every host ready and every store up"},
	{WriteLatency, LoadMeta, "acknowledged catalog writes, over the whole run"},
	{ReadLatency, LoadMeta, "linearizable reads at each member, over the whole run"},
	{UploadTime, LoadUpload, "file sent to video published"},
	{PlayStartup, LoadPlay, "call to first picture"},
	{ProbeTime, LoadStrangers, "honest requests at a host under attack"},
	{ProbeBeside, LoadStrangers, "the same while the attack is aimed at a listener that nobody uses"},
}

var counters = []metric{
	{Writes, LoadMeta, "catalog writes acknowledged"},
	{WriteFailed, LoadMeta, "catalog writes that the client gave up"},
	{LostWrites, LoadMeta, "acknowledged writes that were not read back"},
	{Reads, LoadMeta, "linearizable reads answered"},
	{ReadRefused, LoadMeta, "linearizable reads that the member asked could not serve"},
	{StaleReads, LoadMeta, "linearizable reads that went backwards or ahead"},
	{UnknownWrites, LoadMeta, "catalog writes whose impatient client left before the answer"},
	{Histories, LoadMeta, "histories of a register in a window that were checked"},
	{Operations, LoadMeta, "operations in them"},
	{Violations, LoadMeta, "histories that are not linearizable"},
	{Undecided, LoadMeta, "histories that the checker did not finish with in time"},
	{Uploads, LoadUpload, "files uploaded and published"},
	{UploadFailed, LoadUpload, "files not published in time"},
	{UploadRetries, LoadUpload, "uploads continued after an uploader was lost"},
	{PublishesRead, LoadUpload, "acknowledged publishes read back after healing, every byte of every copy"},
	{LostPublishes, LoadUpload, "acknowledged publishes that could not be read back"},
	{Plays, LoadPlay, "playbacks that came to their end, or went on after a fault"},
	{PlayFailed, LoadPlay, "playbacks that ended with an error"},
	{Stalls, LoadPlay, "stalls of all players"},
	{HostExits, "", "hosts that ended by themselves and were started again"},
	{Checksums, "", "catalogs of two members at one index that were found equal, where a drill compares them"},
	{ChecksumSplits, "", "catalogs of two members at one index that differ"},
	{Probes, LoadStrangers, "honest requests at a host under attack that were answered"},
	{ProbeFailed, LoadStrangers, "honest requests there that were not"},
	{ProbeSlow, LoadStrangers, "attacks under which the p99 of honest requests was more than three times that beside them"},
	{LivezFailed, LoadStrangers, "questions after /livez there without a 200 within 2 s"},
	{LeaderChanges, LoadStrangers, "attacks in which another member came to lead"},
	{MemoryOver, LoadStrangers, "attacks in which the host had more memory than its bound"},
	{LogOver, LoadStrangers, "attacks in which the host wrote more than 1 MiB of log"},
}

// occasions name, for counters of what must not happen, the counter of what it could have
// happened to: 0 of 0 is no measurement.
var occasions = map[string]string{
	WriteFailed: Writes, LostWrites: Writes, StaleReads: Reads, Violations: Histories, Undecided: Histories,
	UploadFailed: Uploads, LostPublishes: PublishesRead, PlayFailed: Plays, Stalls: Plays, ChecksumSplits: Checksums,
	ProbeFailed: Probes, ProbeSlow: Probes, LivezFailed: Probes, LeaderChanges: Probes, MemoryOver: Probes, LogOver: Probes,
}

// Timing is the distribution of a duration, in seconds.
type Timing struct {
	Name  string  `json:"name"`
	Doc   string  `json:"doc"`
	Count int64   `json:"count"` // 0: nothing was measured, the rest is meaningless
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// stat returns the statistic with a name that ParseAssertion accepts.
func (t Timing) stat(name string) float64 {
	switch name {
	case "min":
		return t.Min
	case "mean":
		return t.Mean
	case "p50":
		return t.P50
	case "p90":
		return t.P90
	case "p95":
		return t.P95
	case "p99":
		return t.P99
	case "p999":
		return t.P999
	}
	return t.Max
}

// Counter is how often something happened.
type Counter struct {
	Name  string `json:"name"`
	Doc   string `json:"doc"`
	Value int64  `json:"value"`
}

const (
	// histMax is the longest time that is told apart, in microseconds.
	histMax    = int64(10 * time.Minute / time.Microsecond)
	histDigits = 3
)

// tally collects figures from the loads' goroutines.
type tally struct {
	mu    sync.Mutex
	hists map[string]*hdrhistogram.Histogram // microseconds
	count map[string]int64
}

func newTally() *tally {
	t := &tally{hists: map[string]*hdrhistogram.Histogram{}, count: map[string]int64{}}
	for _, m := range timings {
		t.hists[m.name] = hdrhistogram.New(1, histMax, histDigits)
	}
	return t
}

func (t *tally) observe(name string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Clamped to its range, a value is always taken.
	_ = t.hists[name].RecordValue(min(max(d.Microseconds(), 1), histMax))
}

func (t *tally) add(name string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count[name] += n
}

// figures are the timings and counters that the loads could give.
func (t *tally) figures(loads []Load) ([]Timing, []Counter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ts []Timing
	for _, m := range timings {
		if !m.given(loads) {
			continue
		}
		h := t.hists[m.name]
		at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) / 1e6 }
		out := Timing{Name: m.name, Doc: m.doc, Count: h.TotalCount()}
		if out.Count > 0 {
			out.Min, out.Mean, out.Max = float64(h.Min())/1e6, h.Mean()/1e6, float64(h.Max())/1e6
			out.P50, out.P90, out.P95, out.P99, out.P999 = at(50), at(90), at(95), at(99), at(99.9)
		}
		ts = append(ts, out)
	}
	var cs []Counter
	for _, m := range counters {
		if m.given(loads) {
			cs = append(cs, Counter{m.name, m.doc, t.count[m.name]})
		}
	}
	return ts, cs
}

func (m metric) given(loads []Load) bool {
	if m.load == "" {
		return true
	}
	for _, l := range loads {
		if l == m.load {
			return true
		}
	}
	return false
}

// Seconds prints a time of a report for people.
func Seconds(s float64) string {
	if s < 0.1 {
		return fmt.Sprintf("%.1f ms", s*1e3)
	}
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1e3)
	}
	return fmt.Sprintf("%.2f s", s)
}
