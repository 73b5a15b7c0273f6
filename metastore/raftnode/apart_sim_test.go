package raftnode

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// apart is a round trip that no answer survives by the times of one place: the lease is over
// before it can be back.
const apart = 400 * time.Millisecond

func TestMembersThatAreFarApartFindNoLeaderUntold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, simOptions{apart: apart})
		defer c.close()
		led := 0
		for range 60_000 {
			if c.leader(nil) != nil {
				led++
			}
			time.Sleep(time.Millisecond)
		}
		if led > 30_000 {
			t.Errorf("they had a leader in %d of 60,000 ms: what is the setting for?", led)
		}
	})
}

// TestMembersThatAreFarApartKeepTheirLeader, told how far that is, and find another soon when
// it is gone.
func TestMembersThatAreFarApartKeepTheirLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, simOptions{apart: apart, told: true})
		defer c.close()
		lead := c.await(nil, "a leader")
		term := lead.run.Load().raft.CurrentTerm()
		for i := range 60 {
			time.Sleep(time.Second)
			if err := c.write(lead.run.Load(), fmt.Sprintf("entry %d", i)); err != nil {
				t.Errorf("write %d to the only leader: %v", i, err)
			}
		}
		if now := lead.run.Load().raft.CurrentTerm(); now != term {
			t.Errorf("term %d became %d within a minute", term, now)
		}
		began := time.Now()
		c.kill(lead)
		c.await(lead, "another leader")
		t.Logf("another led %s after a kill", time.Since(began))
		c.start(lead)
		c.settle()
	})
}
