package membership

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

const (
	// slowShare of the last disk.Window in slow writes, in at least slowStalls of
	// them, is a slow disk: one hiccup is none.
	slowShare  = 0.3
	slowStalls = 3
	// quickRatio is how much smaller that share must be for a disk to count as quick.
	quickRatio = 4
	// handoverEvery is how seldom one member hands over because of its disk, handoverRetry
	// when it could not, and lookAgain when there was nobody to hand over to.
	handoverEvery = time.Minute
	handoverRetry = 10 * time.Second
	lookAgain     = time.Second
)

// RunDisk is the leader's duty of handing over to a member with a better disk. A leader
// writes every entry before anybody else may, so its disk is in every client's way; that
// of one follower is in nobody's.
func (m *Manager) RunDisk(ctx context.Context) {
	ticker := time.NewTicker(m.cfg.Tick)
	defer ticker.Stop()
	var quiet time.Time // until then nothing is done
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, leads := m.cfg.Node.Leading(); !leads || time.Now().Before(quiet) || !slow(m.cfg.Node.Disk()) {
			continue
		}
		quiet = time.Now().Add(m.handOver(ctx))
	}
}

func slow(d disk.Pace) bool { return d.Slow >= slowShare && d.Stalls >= slowStalls }

// handOver gives the leadership to a better disk, if there is one, and returns how long
// to leave it at that.
func (m *Manager) handOver(ctx context.Context) time.Duration {
	to, ok := betterDisk(m.cfg.ID, m.askAll(ctx))
	if !ok {
		return lookAgain
	}
	pace := m.cfg.Node.Disk()
	m.cfg.Logger.Warn("the disk of this member's Raft log is slow, leadership goes to one with a better disk", "to", to.ID,
		"slow_share", pace.Slow, "stalls", pace.Stalls, "writes", pace.Writes, "its_slow_share", to.DiskSlow)
	m.handovers.Inc()
	if err := m.cfg.Node.Transfer(to.ID); err != nil {
		// The other may lead all the same: what this member knows it has to write first.
		m.cfg.Logger.Warn("hand leadership to a member with a better disk", "to", to.ID, "err", err)
		return handoverRetry
	}
	return handoverEvery
}

// betterDisk is who should lead instead of a leader whose disk is slow: the quickest of
// the voters that follow it closely. Nobody, unless a majority would then have quick
// disks: with fewer a commit waits for a slow one whoever leads, and where all disks are
// slow the leadership stays where it is.
func betterDisk(leader string, peers []wire.RaftPeer) (wire.RaftPeer, bool) {
	var me wire.RaftPeer
	voters := 0
	for _, p := range peers {
		if p.ID == leader {
			me = p
		}
		if p.Voter {
			voters++
		}
	}
	if me.DiskSlow < slowShare { // it did not answer itself, or has recovered
		return wire.RaftPeer{}, false
	}
	var quick []wire.RaftPeer
	for _, p := range peers {
		// One that wrote nothing lately has shown nothing.
		if p.ID != leader && p.Voter && p.Reached && follows(p) && p.Term == me.Term && p.LastIndex+joinLag >= me.Commit &&
			p.DiskWrites > 0 && p.DiskSlow*quickRatio <= me.DiskSlow {
			quick = append(quick, p)
		}
	}
	if len(quick) < voters/2+1 {
		return wire.RaftPeer{}, false
	}
	return slices.MinFunc(quick, func(a, b wire.RaftPeer) int {
		return cmp.Or(cmp.Compare(a.DiskSlow, b.DiskSlow), cmp.Compare(b.LastIndex, a.LastIndex))
	}), true
}
