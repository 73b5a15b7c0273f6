package tell

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
)

func TestAPlaybackIsToldAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := vstack.StoreID{7}
		var told []sessions.Report
		tl := Start(Config{
			Gateways: []string{"away", "here"}, Manifest: &vstack.Manifest{Video: vstack.VideoID{1}, Duration: 60}, Policy: "smart",
			Signals: func() []quicclient.StoreSignals {
				return []quicclient.StoreSignals{{Store: store, Conns: 1, RTT: 20 * time.Millisecond, TTFB: 30 * time.Millisecond, Slow: 1 << 20, Sampled: true}, {Store: vstack.StoreID{8}}}
			},
			Call: func(_ context.Context, _, addr, _ string, in io.Reader, _ any) error {
				if addr == "away" {
					return errors.New("connection refused")
				}
				var r sessions.Report
				if err := json.NewDecoder(in).Decode(&r); err != nil {
					t.Error(err)
				}
				told = append(told, r)
				return nil
			},
		})
		tl.Event(quicclient.Event{Kind: quicclient.EventStarted, Time: 300 * time.Millisecond})
		tl.Event(quicclient.Event{Kind: quicclient.EventChunk, Position: time.Second, Buffered: 4 * time.Second, Chunk: quicclient.ChunkRecord{Store: store, Size: 1 << 20, Hedges: 1}})
		time.Sleep(2500 * time.Millisecond) // of the bubble's clock: it tells every two seconds
		synctest.Wait()
		if len(told) != 1 {
			t.Fatalf("told %d times", len(told))
		}
		r := told[0]
		if r.State != "playing" || r.Startup != 0.3 || r.Buffer != 4 || r.Hedges != 1 || r.Rate != 4<<20 || len(r.Sources) != 1 || r.Sources[0].Score != 1.03 || r.Sources[0].Bytes != 1<<20 {
			t.Errorf("%+v", r)
		}
		tl.Event(quicclient.Event{Kind: quicclient.EventStall, Time: 3 * time.Second})
		tl.Event(quicclient.Event{Kind: quicclient.EventResumed, Time: 5 * time.Second})
		if tl.report.StallTime != 2 || tl.report.Stalls != 1 {
			t.Errorf("stalled %v s", tl.report.StallTime)
		}
		tl.End(quicclient.Report{Stalls: 1, StallTime: 2, Startup: 0.3, Policy: "smart"}, nil)
		if last := told[len(told)-1]; last.State != "ended" || last.Buffer != 0 {
			t.Errorf("the last word: %+v", last)
		}
	})
}

func TestWithoutAGatewayNobodyIsTold(t *testing.T) {
	tl := Start(Config{})
	tl.Event(quicclient.Event{Kind: quicclient.EventStall})
	tl.End(quicclient.Report{}, nil)
	if tl != nil {
		t.Error("somebody is told")
	}
}
