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
	out := wire.RedundancyPlan{Policy: p, Cool: w.Cool, Warm: w.Warm, Schemes: Compare(m, p.HostsCanFail), Behind: l.behind}
	before, _ := onGroups(m, vstack.Scheme{})
	out.Copies, out.Fragments = before, lost
	if of, short := onGroups(m, p.Layout.Scheme); short != "" {
		out.Refused = fmt.Sprintf("%s: %s", name(p.Layout.Scheme), short)
	} else {
		out.Fragments = of
		if of.Hosts < p.HostsCanFail {
			out.Refused = fmt.Sprintf("%s bears the loss of %d hosts (any %d stores) on this cluster, and should bear that of %d", name(p.Layout.Scheme), max(of.Hosts, 0), max(of.Stores, 0), p.HostsCanFail)
		}
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
// kept on the cluster as it is placed.
func CheckPolicy(m *vstack.PlacementMap, now, next vstack.RedundancyPolicy) error {
	if err := next.Check(); err != nil {
		return err
	}
	if !m.Ready() || next.Layout.Scheme == now.Layout.Scheme && next.HostsCanFail == now.HostsCanFail {
		return nil
	}
	of, short := onGroups(m, next.Layout.Scheme)
	switch {
	case short != "":
		return fmt.Errorf("policy of redundancy: %w: %s is %s", vstack.ErrTooFewTargets, name(next.Layout.Scheme), short)
	case of.Hosts < next.HostsCanFail:
		return fmt.Errorf("policy of redundancy: %w: %s bears the loss of %d hosts (any %d stores) on this cluster, and should bear that of %d",
			vstack.ErrTooFewTargets, name(next.Layout.Scheme), max(of.Hosts, 0), max(of.Stores, 0), next.HostsCanFail)
	}
	return nil
}
