package datanode

import (
	"context"
	"sync"
	"time"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// beatTimeout bounds one heartbeat: a late one is worth less than the next.
const beatTimeout = 3 * time.Second

// beatRetry is the pause after a heartbeat that nobody answered: while a cluster starts
// or elects, stores should not be missing for longer than it takes.
const beatRetry = 200 * time.Millisecond

// beat reports to the catalog every HeartbeatEvery until ctx ends. The answer's echo
// is what fences a store that has forgotten votes.
func (s *Server) beat(ctx context.Context) error {
	quiet := false // since the last answer, so that an outage is logged once
	for {
		err := s.beatOnce(ctx)
		switch {
		case err == nil && quiet:
			s.cfg.Logger.Info("metastore answers heartbeats again", "host", s.cfg.Host)
		case err != nil && !quiet && ctx.Err() == nil:
			s.cfg.Logger.Warn("metastore does not answer heartbeats", "host", s.cfg.Host, "error", err)
		}
		quiet = err != nil
		pause := s.cfg.HeartbeatEvery
		if quiet {
			pause = min(pause, beatRetry)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) beatOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	s.beats++
	hb := wire.Heartbeat{Host: s.cfg.Host, Version: s.cfg.Version.Version, Level: vstack.NewestLevel, Seq: s.beats}
	for _, st := range s.stores {
		hb.Stores = append(hb.Stores, st.report())
	}
	asked := time.Now()
	reply, err := s.cfg.Meta.Heartbeat(ctx, hb)
	if err != nil {
		return err
	}
	s.answer.set(reply, time.Now())
	if at := reply.Restored; !at.IsZero() && s.restored.Swap(at.UnixNano()) != at.UnixNano() {
		s.cfg.Logger.Warn("the catalog came from a backup; what it does not name is kept for now", "host", s.cfg.Host, "restored", at, "until", at.Add(s.cfg.RestoreGrace))
	}
	if len(reply.Refused) == 0 {
		// Before the index below counts: a view of before the backup is not complete.
		if err := s.follower.Restored(reply.Restored); err != nil {
			return err
		}
	}
	for _, st := range s.stores {
		if why, refused := reply.Refused[st.disk.ID()]; refused {
			// Without an echo it judges no message.
			if st.past.refuse(why) {
				s.cfg.Logger.Error("metastore refuses the store; it serves reads, votes for nothing and drops nothing", "store", st.disk.ID(), "dir", st.cfg.Dir, "reason", why)
			}
			continue
		}
		st.raise(ctx, reply.Level)
		if err := st.past.follow(reply.Cluster, s.follower.Index(), time.Now()); err != nil {
			s.cfg.Logger.Warn("catalog's identity could not be noted", "store", st.disk.ID(), "error", err)
		}
		echo := reply.Echo[st.disk.ID()]
		if st.disk.LostRecords() && !st.lostTold {
			// Rot took acknowledged records: that is forgetting, whatever the LSN says.
			st.lostTold, st.told, echo = true, st.disk.Losses(), max(echo, st.disk.LSN()+1)
		}
		st.voter.Echo(echo, reply.Index)
		st.settleLost()
	}
	if len(reply.Refused) == 0 {
		s.follower.Heard(reply.Index, asked)
		s.index.CompareAndSwap(0, max(reply.Index, 1))
	}
	return nil
}

// settleLost notes that rot is taken in once what it bars the store from is in the log, so
// that the next start does not take the same damage for a new loss.
func (st *store) settleLost() {
	if st.told == nil || !st.voter.Settled() {
		return
	}
	if err := st.disk.SettleLost(st.told); err != nil {
		st.server.cfg.Logger.Warn("lost records are not noted yet", "store", st.disk.ID(), "error", err) // the next heartbeat tries again
		return
	}
	st.told = nil
}

// answerAge is how old what the leader said of the groups may be: a store that is cut off
// drops nothing that other stores must hold instead.
const answerAge = 10 * time.Second

// answers keeps what the leader last said of the groups.
type answers struct {
	mu    sync.Mutex // guards all
	last  permit.Answer
	at    time.Time
	known vstack.Level // the cluster's
}

func (a *answers) set(reply wire.HeartbeatReply, now time.Time) {
	next := permit.Answer{Floor: reply.ClassFloor, Paused: reply.Paused,
		Whole: make(map[vstack.PG]wire.GroupWhole, len(reply.Whole)), Short: make(map[vstack.PG]wire.GroupShort, len(reply.Short))}
	for _, w := range reply.Whole {
		next.Whole[w.PG] = w
	}
	for _, s := range reply.Short {
		next.Short[s.PG] = s
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last, a.at, a.known = next, now, reply.Level
}

// level is the cluster's feature level as it was last said; 0 before the first answer.
func (a *answers) level() vstack.Level {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known
}

// fresh is the answer, and one that permits nothing when it is old. The floor stays: it
// never changes once it is there. So does a pause, which an operator ends.
func (a *answers) fresh() permit.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.at) > answerAge {
		return permit.Answer{Floor: a.last.Floor, Paused: a.last.Paused}
	}
	return a.last
}
