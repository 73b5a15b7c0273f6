package gauges

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Config is where a Store looks. All of it is required.
type Config struct {
	ID     vstack.StoreID
	Stats  func() superblock.Stats
	Report func() (capacity, free int64, votes bool) // as heartbeats say it
	Scrub  func() wire.ScrubStatus
	Every  time.Duration // between two scrubs
	// Started is when the process began to look after the store: what counts for a store that
	// was never scrubbed.
	Started time.Time
}

// Store is a prometheus.Collector of one store's figures.
type Store struct {
	cfg Config

	capacity, used, free, chunks, pieces, live, garbage, votes, findings, scrubbed, every, running, seen *prometheus.Desc
}

// New makes a Store; it looks when it is collected.
func New(cfg Config) *Store {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("vstack_datanode_"+name, help, labels, prometheus.Labels{"store": cfg.ID.String()})
	}
	return &Store{
		cfg:      cfg,
		capacity: desc("store_capacity_bytes", "Bytes that the store may take of its disk."),
		used:     desc("store_used_bytes", "Bytes that the store's files take, space reserved ahead included."),
		free:     desc("store_free_bytes", "Bytes that chunks may still take; less than the largest chunk, and the store is full."),
		chunks:   desc("store_pieces", "Whole chunks and fragments that the store holds.", "kind"),
		pieces:   desc("store_pieces_bytes", "Bytes of the whole chunks and of the fragments that the store holds.", "kind"),
		live:     desc("store_live_bytes", "Bytes of the store's files that count, records' frames included."),
		garbage:  desc("store_garbage_bytes", "Bytes of the store's files that compaction could give back."),
		votes:    desc("store_votes", "1 while the store takes part in votes."),
		findings: desc("store_findings", "Kinds of damage that were found in the store's files and are not mended."),
		scrubbed: desc("scrub_passed_timestamp_seconds", "When every byte of the store was last checked to the end, in Unix time; the start of the process when it never was."),
		every:    desc("scrub_interval_seconds", "How often every byte of the store is to be checked."),
		running:  desc("scrub_running", "1 while the store's bytes are being checked."),
		seen:     desc("scrub_bytes", "Bytes that the last scrub read."),
	}
}

// Describe is of prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.capacity, s.used, s.free, s.chunks, s.pieces, s.live, s.garbage, s.votes, s.findings, s.scrubbed, s.every, s.running, s.seen} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	is := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	st := s.cfg.Stats()
	capacity, free, votes := s.cfg.Report()
	gauge(s.capacity, float64(capacity))
	gauge(s.used, float64(st.Used))
	gauge(s.free, float64(free))
	gauge(s.chunks, float64(st.Chunks), "chunk")
	gauge(s.chunks, float64(st.Fragments), "fragment")
	gauge(s.pieces, float64(st.ChunkBytes), "chunk")
	gauge(s.pieces, float64(st.FragmentBytes), "fragment")
	gauge(s.live, float64(st.Live))
	gauge(s.garbage, float64(st.Garbage))
	gauge(s.votes, is(votes))
	gauge(s.findings, float64(st.Findings))
	scrub := s.cfg.Scrub()
	passed := s.cfg.Started
	if !scrub.Passed.IsZero() {
		passed = scrub.Passed
	}
	gauge(s.scrubbed, float64(passed.UnixMilli())/1000)
	gauge(s.every, s.cfg.Every.Seconds())
	gauge(s.running, is(scrub.Running))
	gauge(s.seen, float64(scrub.Bytes))
}
