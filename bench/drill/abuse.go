package drill

import (
	"context"
	"errors"

	"github.com/vstack/vstack/bench/abuse"
	"github.com/vstack/vstack/bench/drill/report"
)

// runAbuse has strangers attack the host that leads, in the way that is next.
func runAbuse(ctx context.Context, s *session, n int) (t *report.Timeline, err error) {
	attack, err := s.opt.Strangers.Attack(n)
	if err != nil {
		return nil, err
	}
	h, _, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	victim, ok := h.(*labHost)
	if !ok {
		return nil, errNoLab(h)
	}
	rig, err := abuse.Open(ctx, abuse.Config{Recorder: s.rec, Exe: s.opt.Exe, Lab: victim.place.lab.Lab, Cluster: s.cluster, Options: s.opt.Strangers})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	return t, rig.Run(ctx, attack, victim.process, s.opt.Pause, func() (func() error, error) {
		_, term, err := s.leader(ctx) // beside it things went on
		if err != nil {
			return nil, err
		}
		t = s.fault(victim)
		s.took(t, "%s is attacked: %s", victim.ID(), attack.Name)
		return func() error {
			t.Event(report.EventMend, "the strangers have gone")
			_, now, err := s.leader(ctx)
			if err == nil && now != term {
				s.rec.Fail(report.LeaderChanges, "%s: term %d, then %d", attack.Name, term, now)
			}
			return err
		}, nil
	})
}
