package sessions

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestQualityCountsWhatASessionAdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := New(Config{})
		q, err := NewQuality(reg, s)
		if err != nil {
			t.Fatal(err)
		}
		s.Count(q)
		say := func(r Report) {
			t.Helper()
			r.Player = "p"
			if err := s.Tell("a", r); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		say(Report{State: "starting"})
		say(Report{State: "playing", Startup: 0.3, Position: 1})
		say(Report{State: "stalled", Startup: 0.3, Position: 3, Stalls: 1, StallTime: 0.5})
		say(Report{State: "playing", Startup: 0.3, Position: 900, Stalls: 1, StallTime: 1e9}) // a jump, and a lie
		say(Report{State: "ended", Startup: 0.3, Position: 901, Stalls: 1, StallTime: 1e9})
		say(Report{State: "ended", Startup: 0.3, Position: 901, Stalls: 1, StallTime: 1e9}) // said twice
		want := `
# HELP vstack_gateway_session_played_seconds_total Media that was played, by players' own word; jumps forward of more than a minute do not count.
# TYPE vstack_gateway_session_played_seconds_total counter
vstack_gateway_session_played_seconds_total{kind="page"} 4
# HELP vstack_gateway_session_stalled_seconds_total Time for which playbacks stood still after their start, by players' own word.
# TYPE vstack_gateway_session_stalled_seconds_total counter
vstack_gateway_session_stalled_seconds_total{kind="page"} 3.5
# HELP vstack_gateway_session_stalls_total Times that playbacks stood still after their start, by players' own word.
# TYPE vstack_gateway_session_stalls_total counter
vstack_gateway_session_stalls_total{kind="page"} 1
# HELP vstack_gateway_sessions_ended_total Playbacks that said that they ended, by kind and as what: ended, failed.
# TYPE vstack_gateway_sessions_ended_total counter
vstack_gateway_sessions_ended_total{kind="page",state="ended"} 1
# HELP vstack_gateway_sessions_total Playbacks that began, by kind of player: smart, page, stock.
# TYPE vstack_gateway_sessions_total counter
vstack_gateway_sessions_total{kind="page"} 1
`
		err = testutil.GatherAndCompare(reg, strings.NewReader(want), "vstack_gateway_session_played_seconds_total", "vstack_gateway_session_stalled_seconds_total",
			"vstack_gateway_session_stalls_total", "vstack_gateway_sessions_ended_total", "vstack_gateway_sessions_total")
		if err != nil {
			t.Error(err)
		}
	})
}
