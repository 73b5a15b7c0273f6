package repeats

import (
	"fmt"
	"testing"
	"time"
)

func TestALineComesOnceAMinuteForEachMember(t *testing.T) {
	var f Filter
	now := time.Unix(1000, 0)
	written, left := 0, 0
	for range 1800 { // half an hour of a heartbeat each second
		for _, peer := range []string{"h2", "h3"} {
			if yes, n := f.Pass("failed to heartbeat to", []any{"peer", peer, "backoff time", now}, now); yes {
				written++
				left += n
			}
		}
		now = now.Add(time.Second)
	}
	if written != 2*30 || written+left < 2*1800-2*60 {
		t.Errorf("%d lines written, %d told as left out", written, left)
	}
	if yes, _ := f.Pass("entering leader state", nil, now); !yes {
		t.Error("another line is left out")
	}
	for i := range 10_000 {
		f.Pass(fmt.Sprint(i), nil, now)
	}
	if len(f.seen) > most {
		t.Errorf("%d lines are remembered", len(f.seen))
	}
}
