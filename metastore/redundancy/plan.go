package redundancy

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

// Plan says what a policy would have the cluster do now, what that takes and gives, and what
// may fail before and after.
func (l *Ledger) Plan(v *catalog.View, p vstack.RedundancyPolicy, now time.Time) (wire.RedundancyPlan, error) {
	m := v.Placement()
	if !m.Ready() {
		return wire.RedundancyPlan{}, fmt.Errorf("plan of redundancy: %w", vstack.ErrNotReady)
	}
	everything := p
	everything.BytesADay = 0
	w := Wish(everything, now, v.Published())
	out := wire.RedundancyPlan{Policy: p, Cool: w.Cool, Warm: w.Warm, Schemes: Compare(m, v.Level(), p.HostsCanFail), Behind: l.behind}
	out.Copies, _ = onGroups(m, vstack.Scheme{})
	chosen := offer(m, v.Level(), p.Layout.Scheme, p.HostsCanFail)
	out.Fragments = chosen.Bears
	if chosen.Refused != "" {
		out.Refused = fmt.Sprintf("%s: %s", name(p.Layout.Scheme), chosen.Refused)
	}
	l.weigh(&out, everything, now, v)
	return out, nil
}

// weigh adds up what the moves write and what they give back.
func (l *Ledger) weigh(out *wire.RedundancyPlan, p vstack.RedundancyPolicy, now time.Time, view *catalog.View) {
	for v := range view.Published() {
		e := l.videos[v.ID]
		if e == nil || v.Policy != vstack.PolicyAuto {
			continue
		}
		scheme := e.Layout.Scheme
		if v.Class == vstack.ClassHot && v.Layout.IsZero() {
			scheme = p.Layout.Scheme
		}
		copies, fragments := int64(vstack.Acceptors)*e.bytes, int64(float64(e.bytes)*Cost(scheme))
		switch {
		case v.Class == vstack.ClassHot && v.Popularity < p.CoolBelow && rested(p, v, now):
			out.Writes += fragments
			out.Gives += copies - fragments
		case v.Class == vstack.ClassCold && v.Popularity > p.WarmAbove:
			out.Writes += copies
			out.Gives -= copies - fragments
		}
	}
}

// name is a scheme as people write it.
func name(s vstack.Scheme) string {
	if s.IsZero() {
		return "three copies"
	}
	return fmt.Sprintf("rs(%d,%d)", s.K, s.M)
}

// Over is a policy with the values of a query in place of its own.
func Over(p vstack.RedundancyPolicy, query url.Values) (vstack.RedundancyPolicy, error) {
	for name, set := range map[string]func(int64){
		"min_hosts_can_fail": func(n int64) { p.HostsCanFail = int(min(n, vstack.MaxFragments+1)) },
		"warm_above":         func(n int64) { p.WarmAbove = n },
		"cool_below":         func(n int64) { p.CoolBelow = n },
		"min_age":            func(n int64) { p.MinAge = n },
	} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return p, fmt.Errorf("parameter %s=%.40q: %w: want a number", name, text, vstack.ErrInvalid)
		}
		set(n)
	}
	if text := query.Get("scheme"); text != "" {
		var err error
		if p.Layout.Scheme, err = vstack.ParseScheme(text); err != nil {
			return p, err
		}
	}
	return p, p.Check()
}

// CheckPolicy refuses as ErrTooFewTargets a policy whose scheme or bound is new and cannot be
// kept on the cluster as it is placed, nor in wider groups.
func CheckPolicy(m *vstack.PlacementMap, level vstack.Level, now, next vstack.RedundancyPolicy) error {
	if err := next.Check(); err != nil {
		return err
	}
	if !m.Ready() || next.Layout.Scheme == now.Layout.Scheme && next.HostsCanFail == now.HostsCanFail {
		return nil
	}
	if o := offer(m, level, next.Layout.Scheme, next.HostsCanFail); o.Refused != "" {
		return fmt.Errorf("policy of redundancy: %w: %s: %s", vstack.ErrTooFewTargets, name(next.Layout.Scheme), o.Refused)
	}
	return nil
}

// Comes reports whether the groups of a cluster are being widened for a scheme, and will bear the
// loss of so many hosts in it.
func Comes(m *vstack.PlacementMap, level vstack.Level, s vstack.Scheme, wantHosts int) bool {
	o := offer(m, level, s, wantHosts)
	return !o.Placed && o.Refused == "" && s.Total() <= m.TargetCount()
}
