package datanode

import (
	"context"
	"time"

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
	hb := wire.Heartbeat{Host: s.cfg.Host, Version: s.cfg.Version.Version}
	for _, st := range s.stores {
		hb.Stores = append(hb.Stores, st.report())
	}
	reply, err := s.cfg.Meta.Heartbeat(ctx, hb)
	if err != nil {
		return err
	}
	if at := reply.Restored; !at.IsZero() && s.restored.Swap(at.UnixNano()) != at.UnixNano() {
		s.cfg.Logger.Warn("the catalog came from a backup; what it does not name is kept for now", "host", s.cfg.Host, "restored", at, "until", at.Add(s.cfg.RestoreGrace))
	}
	for _, st := range s.stores {
		if why, refused := reply.Refused[st.disk.ID()]; refused {
			// Without an echo it judges no message.
			if st.past.refuse(why) {
				s.cfg.Logger.Error("metastore refuses the store; it serves reads, votes for nothing and drops nothing", "store", st.disk.ID(), "dir", st.cfg.Dir, "reason", why)
			}
			continue
		}
		if err := st.past.follow(reply.Cluster, s.follower.Applied(), time.Now()); err != nil {
			s.cfg.Logger.Warn("catalog's identity could not be noted", "store", st.disk.ID(), "error", err)
		}
		echo := reply.Echo[st.disk.ID()]
		if st.disk.LostRecords() && !st.lostTold {
			// Rot took acknowledged records: that is forgetting, whatever the LSN says.
			st.lostTold, echo = true, max(echo, st.disk.LSN()+1)
		}
		st.voter.Echo(echo, reply.Index)
	}
	if len(reply.Refused) == 0 {
		s.index.CompareAndSwap(0, max(reply.Index, 1))
	}
	return nil
}
