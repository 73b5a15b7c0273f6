package checkup

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxSkew is how far clocks may be apart: certificates and views of time end with it.
	maxSkew = 5 * time.Second
	// littleSpace and noSpace are what a store has left of its disk.
	littleSpace, noSpace = 0.15, 0.05
	// slowDisk is the share of time in which a member's log waits for its disk.
	slowDisk = 0.2
)

// Judge says of each thing whether it is well, and what mends it.
func Judge(f Facts) []doctor.Finding {
	var out []doctor.Finding
	for _, check := range []func(*Facts) []doctor.Finding{metadata, hosts, groups, stores, space, orders, level, uploads, certificates, clocks, datagrams} {
		out = append(out, check(&f)...)
	}
	return out
}

func found(check string, state doctor.State, fix, format string, args ...any) doctor.Finding {
	return doctor.Finding{Check: check, State: state, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

// metadata judges the members that vote on the catalog.
func metadata(f *Facts) []doctor.Finding {
	if f.RaftErr != nil {
		return []doctor.Finding{found("metadata", doctor.Fail, "start the members' hosts; vstack raft status", "%v", f.RaftErr)}
	}
	var out []doctor.Finding
	if f.Raft.Leader == "" {
		out = append(out, found("metadata", doctor.Fail, "start the members' hosts: a majority elects a leader by itself", "no leader: nothing can be written"))
	}
	if f.Raft.Diverged {
		out = append(out, found("metadata", doctor.Fail, "keep every member's directory; see docs/runbook.md", "two members have different catalogs at one index"))
	}
	voters := 0
	for _, p := range f.Raft.Peers {
		if p.Voter {
			voters++
		}
		check := "member " + p.ID
		switch {
		case !p.Reached && p.Detail != "": // its process answers, and says why it takes no part
			text, mends := mending(p.Detail)
			out = append(out, found(check, doctor.Warn, mends, "%s: %s", p.Standing, text))
		case !p.Reached:
			out = append(out, found(check, doctor.Warn, "start host "+p.ID+"; if it is gone for good: vstack raft remove "+p.ID+" --yes", "does not answer"))
		case p.Detail != "":
			out = append(out, found(check, doctor.Warn, "vstack raft status", "%s", p.Detail))
		case p.DiskSlow >= slowDisk:
			out = append(out, found(check, doctor.Warn, "give meta.dir a disk of its own, or a faster one", "its log waits for the disk %.0f %% of the time", p.DiskSlow*100))
		}
	}
	if f.Raft.Leader != "" {
		state, fix := doctor.OK, ""
		if f.Raft.CanFail == 0 {
			state, fix = doctor.Warn, "start the members that do not answer, or add more: vstack raft add"
		}
		out = append(out, found("metadata", state, fix, "leader %s; of %d members that vote %d more may fail now", f.Raft.Leader, voters, f.Raft.CanFail))
	}
	return out
}

// mending parts what a member says of itself from the sentence with the commands that mend it.
func mending(detail string) (text, mends string) {
	if at := strings.Index(detail, "vstack raft"); at >= 0 {
		if end := strings.LastIndex(detail[:at], ". "); end >= 0 {
			return detail[:end], detail[end+2:]
		}
	}
	return detail, ""
}

// hosts judges whether everybody is there.
func hosts(f *Facts) []doctor.Finding {
	if f.NodesErr != nil {
		return []doctor.Finding{found("hosts", doctor.Fail, "vstack node ls", "%v", f.NodesErr)}
	}
	var out []doctor.Finding
	for _, n := range f.Nodes {
		host := string(n.Host)
		down, all := vacant(f, n)
		if len(down) > 0 && all {
			down = []doctor.Finding{found("host "+host, doctor.Warn, "start it; if it is gone for good: vstack node decommission "+host+" --yes, then vstack node rm "+host+" --yes", "down: none of its stores answers")}
		}
		out = append(out, down...)
	}
	for _, host := range f.hosts(vstack.StoreSuspect) {
		out = append(out, found("host "+host, doctor.Warn, "", "a store of it is silent for some seconds"))
	}
	if len(out) == 0 && len(f.hosts(vstack.StoreDown)) == 0 {
		out = append(out, found("hosts", doctor.OK, "", "%d hosts, every store is up", len(f.Nodes)))
	}
	return out
}

// groups judges whether every placement group can be written.
func groups(f *Facts) []doctor.Finding {
	if len(f.Held) == 0 {
		return nil
	}
	away, forgot := map[string]bool{}, map[string]bool{}
	for _, g := range f.Held {
		for _, a := range g.Acceptors {
			switch a.State {
			case string(vstack.StoreDown):
				away[string(a.Host)] = true
			case "forgot":
				forgot[string(a.Host)] = true
			}
		}
	}
	why := ""
	if len(away) > 0 {
		why += "; down: " + strings.Join(slices.Sorted(maps.Keys(away)), ", ")
	}
	if len(forgot) > 0 {
		why += "; stores of these forgot votes: " + strings.Join(slices.Sorted(maps.Keys(forgot)), ", ")
	}
	return []doctor.Finding{found("groups", doctor.Fail, "bring the stores back; if they are gone for good: vstack group held, then vstack group accept-loss GROUP --yes",
		"%d placement groups take no writes: fewer than two of their acceptors are up and remember their votes%s", len(f.Held), why)}
}

// stores judges what stores say of themselves.
func stores(f *Facts) []doctor.Finding {
	var out []doctor.Finding
	missing, corrupt := int64(0), int64(0)
	for _, n := range f.Nodes {
		for _, st := range n.Stores {
			r, check := st.Report, "store "+st.Addr
			if r == nil || st.State == vstack.StoreDown { // what it said before it went counts for nothing
				continue
			}
			missing, corrupt = missing+r.Missing, corrupt+r.Corrupt
			if r.Full {
				out = append(out, found(check, doctor.Fail, "make room on the disk of "+string(n.Host)+", delete videos, or: vstack store drain "+st.Addr, "full: it takes no more chunks"))
			}
			if r.Mute != "" { // it passes by itself, as its groups get a new epoch
				out = append(out, found(check, doctor.Warn, "", "does not vote: %s", r.Mute))
			}
		}
	}
	if missing > 0 {
		out = append(out, found("copies", doctor.Warn, "", "%d chunks are not yet where they should be: being copied", missing))
	}
	if corrupt > 0 {
		out = append(out, found("copies", doctor.Warn, "vstack store scrub status; replace a disk that shows more and more", "%d chunks are damaged and not healed yet", corrupt))
	}
	if missing+corrupt == 0 && f.NodesErr == nil {
		out = append(out, found("copies", doctor.OK, "", "every store has all that it should hold, and knows of no damage"))
	}
	return out
}

// space judges what is left on the disks.
func space(f *Facts) []doctor.Finding {
	var out []doctor.Finding
	for _, n := range f.Nodes {
		for _, st := range n.Stores {
			if st.Report == nil || st.Capacity <= 0 {
				continue
			}
			left := 1 - float64(st.Report.Used)/float64(st.Capacity)
			if left < littleSpace {
				state := doctor.Warn
				if left < noSpace {
					state = doctor.Fail
				}
				out = append(out, found("store "+st.Addr, state, "add a host (it is filled by itself), delete videos, or keep them cold: vstack redundancy plan",
					"%s of %s are used", console.Bytes(st.Report.Used), console.Bytes(st.Capacity)))
			}
		}
	}
	return out
}

// orders judges what was ordered and does not end.
func orders(f *Facts) []doctor.Finding {
	var out []doctor.Finding
	for _, o := range f.Orders {
		check, why := "store "+o.Store.String(), strings.Join(o.Waits, "; ")
		switch {
		case o.Roles == 0 && o.State == vstack.StoreDown:
			out = append(out, found(check, doctor.Warn, "vstack store rm "+o.Store.String()+" --yes", "is empty and does not run"))
		case o.Stay > 0:
			out = append(out, found(check, doctor.Warn, "add a host or a store; or take the order back: vstack store undrain "+o.Store.String(), "%d of its %d roles can go nowhere", o.Stay, o.Roles))
		case o.Leaving != "" && why != "":
			out = append(out, found(check, doctor.Warn, "", "is being emptied and waits: %s", why))
		case o.Leaving != "":
			out = append(out, found(check, doctor.OK, "", "is being emptied: %d roles left", o.Roles))
		case o.Cordoned:
			out = append(out, found(check, doctor.OK, "vstack store uncordon "+o.Store.String(), "takes no new roles"))
		}
	}
	switch {
	case f.OrdersErr != nil:
	case f.Balance.State == vstack.BalanceRunning:
		out = append(out, found("balance", doctor.OK, "", "roles are being shared out: %d groups have yet to change", f.Balance.Groups))
	case f.Balance.State == vstack.BalanceHeld && f.Balance.Groups > 0:
		out = append(out, found("balance", doctor.Warn, "vstack rebalance --auto", "held, and %d groups would change for every store to have its share", f.Balance.Groups))
	}
	return out
}

// level judges programs and the feature level.
func level(f *Facts) []doctor.Finding {
	if f.LevelsErr != nil {
		return nil
	}
	older := map[string]bool{}
	for _, m := range append(slices.Clone(f.Levels.Members), f.Levels.Stores...) {
		if m.Level < f.Levels.Newest && !m.Silent && !m.Lost {
			older[string(m.Host)] = true
		}
	}
	versions := map[string][]string{}
	for _, n := range f.Nodes {
		if n.Version != "" {
			versions[n.Version] = append(versions[n.Version], string(n.Host))
		}
	}
	switch {
	case len(older) > 0:
		return []doctor.Finding{found("level", doctor.Warn, "upgrade them: docs/upgrade.md", "hosts with an older program: %s", strings.Join(slices.Sorted(maps.Keys(older)), ", "))}
	case len(versions) > 1:
		var said []string
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			said = append(said, v+" on "+strings.Join(versions[v], ", "))
		}
		return []doctor.Finding{found("level", doctor.Warn, "vstack upgrade --hosts FILE --yes, or host by host: docs/upgrade.md", "%d; hosts run different programs: %s", f.Levels.Level, strings.Join(said, "; "))}
	case f.Levels.Allowed > f.Levels.Level:
		return []doctor.Finding{found("level", doctor.OK, "vstack raft level raise --yes, once every host has this program for good", "%d; all programs know %d", f.Levels.Level, f.Levels.Allowed)}
	}
	return []doctor.Finding{found("level", doctor.OK, "", "%d, the newest that all programs know", f.Levels.Level)}
}

// certificates judges what listeners show.
func certificates(f *Facts) []doctor.Finding {
	const fix = "vstack lab renew DIR where the authority is kept, then on the host: sudo vstack lab join BUNDLE"
	var out []doctor.Finding
	first := time.Time{}
	said := map[string]bool{}
	for _, l := range f.Listeners {
		if l.NotAfter.IsZero() {
			continue
		}
		if first.IsZero() || l.NotAfter.Before(first) {
			first = l.NotAfter
		}
		if left := l.NotAfter.Sub(f.Now); left < doctor.ExpiresSoon(l.CertLife) && !said[l.Host] {
			said[l.Host] = true
			state := doctor.Warn
			if left <= 0 {
				state = doctor.Fail
			}
			out = append(out, found("certificate "+l.Host, state, fix, "valid until %s", doctor.Until(l.NotAfter)))
		}
	}
	if len(out) == 0 && !first.IsZero() {
		out = append(out, found("certificates", doctor.OK, "", "valid until %s or longer", doctor.Until(first)))
	}
	return out
}

// clocks judges how far clocks are apart.
func clocks(f *Facts) []doctor.Finding {
	worst := map[string]time.Duration{}
	for _, l := range f.Listeners {
		if l.Err == nil && l.Clock.Abs() > worst[l.Host].Abs() {
			worst[l.Host] = l.Clock
		}
	}
	var out []doctor.Finding
	for _, host := range slices.SortedFunc(maps.Keys(worst), cmp.Compare[string]) {
		if off := worst[host]; off.Abs() > maxSkew {
			out = append(out, found("clock "+host, doctor.Warn, "on it: sudo timedatectl set-ntp true", "%s away from this machine's", off.Round(time.Second)))
		}
	}
	if len(out) == 0 && len(worst) > 0 {
		out = append(out, found("clocks", doctor.OK, "", "hosts agree with this machine within %s", maxSkew))
	}
	away := map[string]bool{} // hosts that are said to be away already
	for _, host := range append(f.hosts(vstack.StoreDown), f.hosts(vstack.StoreSuspect)...) {
		away[host] = true
	}
	for _, p := range f.Raft.Peers {
		away[p.ID] = away[p.ID] || !p.Reached
	}
	for _, l := range f.Listeners {
		if l.Err != nil && l.NotAfter.IsZero() && !away[l.Host] {
			out = append(out, found("listener "+l.Addr, doctor.Warn, "start host "+l.Host+", or open its ports to this machine", "does not answer: %v", lastOf(l.Err)))
		}
	}
	return out
}

// lastOf is the innermost text of an error: what the network said.
func lastOf(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i > 0 {
		return text[i+2:]
	}
	return text
}

// Summary is one line about the cluster.
func Summary(f Facts) string {
	var stores, chunks, used int64
	for _, n := range f.Nodes {
		for _, st := range n.Stores {
			stores++
			if st.Report != nil {
				chunks, used = chunks+st.Report.Chunks, used+st.Report.Holds()
			}
		}
	}
	leader := cmp.Or(f.Raft.Leader, "none")
	return fmt.Sprintf("%d hosts, %d stores, leader %s, feature level %d; %d chunks in %s", len(f.Nodes), stores, leader, max(f.Levels.Level, vstack.LevelFirst), chunks, console.Bytes(used))
}
