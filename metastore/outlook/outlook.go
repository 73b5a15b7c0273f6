package outlook

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/duties"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// Config is where an Outlook looks. All of it is required.
type Config struct {
	View func() *catalog.View
	// Leads says whether this member leads and has heard stores in this term.
	Leads func() bool
	// Claims are what stores said of their groups, see liveness.Monitor.
	Claims func() map[vstack.StoreID]reconfigure.Claims
	// Backups tells of the last backup; nil says nothing.
	Backups *Backups
}

// Outlook is a prometheus.Collector.
type Outlook struct{ cfg Config }

// New makes an Outlook; it looks when it is collected.
func New(cfg Config) *Outlook { return &Outlook{cfg} }

// Open registers an Outlook of a member that keeps its files in dir, and answers what notes
// its backups.
func Open(dir string, reg prometheus.Registerer, m duties.Member) (*Backups, error) {
	b, err := OpenBackups(dir)
	if err != nil {
		return nil, err
	}
	leads := func() bool { _, yes := m.Leading(); return yes }
	if err := reg.Register(New(Config{View: m.Catalog.View, Leads: leads, Claims: m.Monitor.Claims, Backups: b})); err != nil {
		return nil, fmt.Errorf("register the metrics of the cluster: %w", err)
	}
	return b, nil
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("vstack_metastore_"+name, help, labels, nil)
}

var (
	level     = desc("feature_level", "Feature level of the cluster, as this member has it.")
	newest    = desc("feature_level_known", "Newest feature level that this member's program knows.")
	saved     = desc("backup_timestamp_seconds", "When this member last sent the catalog to somebody to its end, in Unix time; 0 when it never did.")
	up        = desc("store_up", "1 while the leader takes the store for up, 0 while it is suspect or down; on the leader.", "store", "host")
	leaving   = desc("stores_leaving", "Stores whose roles are on their way to others, on the leader.")
	groups    = desc("groups", "Placement groups by how many of their acceptors are up; with fewer than two a group takes no write; on the leader.", "acceptors_up")
	lag       = desc("whole_lag_entries", "Entries of the catalog by which the group that is furthest behind lacks something, among those of which every target is heard; on the leader.")
	unheard   = desc("unheard_groups", "Placement groups of which some target is not heard, so that nothing of them is dropped; on the leader.")
	oldest    = desc("class_oldest_move_seconds", "For how long the video that is longest on its way has been between two classes, on the leader; 0 when none is.")
	described = []*prometheus.Desc{level, newest, saved, up, leaving, groups, lag, unheard, oldest}
)

// Describe is of prometheus.Collector.
func (o *Outlook) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range described {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (o *Outlook) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	view := o.cfg.View()
	gauge(level, float64(view.Level()))
	gauge(newest, float64(vstack.NewestLevel))
	if o.cfg.Backups != nil {
		gauge(saved, o.cfg.Backups.Last())
	}
	if !o.cfg.Leads() {
		return
	}
	state := placed.Of(view)
	left := 0
	for _, st := range state.Map.Stores {
		is := 0.0
		if st.State == vstack.StoreUp {
			is = 1
		}
		if st.Leaving != "" {
			left++
		}
		gauge(up, is, st.ID.String(), string(st.Host))
	}
	gauge(leaving, float64(left))
	gauge(oldest, longest(view, state.Now))
	if !state.Map.Ready() {
		return
	}
	state.Claims = o.cfg.Claims()
	for n, many := range votes(state.Map) {
		gauge(groups, float64(many), strconv.Itoa(n))
	}
	behind, not := wholes(state, view.FeedIndex())
	gauge(lag, float64(behind))
	gauge(unheard, float64(not))
}

// votes counts the groups by how many of their acceptors are up.
func votes(m *vstack.PlacementMap) (by [vstack.Acceptors + 1]int) {
	is := make(map[vstack.StoreID]bool, len(m.Stores))
	for _, st := range m.Stores {
		is[st.ID] = st.State == vstack.StoreUp
	}
	for _, g := range m.Groups {
		n := 0
		for _, id := range g.Targets[:min(len(g.Targets), vstack.Acceptors)] {
			if is[id] {
				n++
			}
		}
		by[n]++
	}
	return by
}

// wholes says how far the group that is furthest behind is, and of how many groups not all
// targets are heard.
func wholes(s reconfigure.State, feed uint64) (behind uint64, unheard int) {
	w := reconfigure.NewWholes(s)
	for pg := range s.Map.Groups {
		switch of := w.Of(vstack.PG(pg)); {
		case len(of.Missing) > 0:
			unheard++
		case of.Index < feed:
			behind = max(behind, feed-of.Index)
		}
	}
	return behind, unheard
}

// longest is for how many seconds the video that moves for the longest has moved.
func longest(view *catalog.View, now time.Time) (seconds float64) {
	if view.Level() < vstack.LevelFragments {
		return 0
	}
	for v := range view.Published() {
		if (v.Class == vstack.ClassCooling || v.Class == vstack.ClassWarming) && !v.ClassSince.IsZero() {
			seconds = max(seconds, now.Sub(v.ClassSince).Seconds())
		}
	}
	return seconds
}
