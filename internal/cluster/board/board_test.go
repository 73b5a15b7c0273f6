package board

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/quicclient"
)

func signals() []quicclient.StoreSignals {
	return []quicclient.StoreSignals{
		{Host: "h2", Addr: "192.168.100.102:8081", Link: "quic", Conns: 2, Measured: true, RTT: 12 * time.Millisecond, Loss: 0.021, Cwnd: 1 << 20, InFlight: 3, Pending: 9, Fast: 1e6, Slow: 2e6, Bytes: 5 << 30, Chunks: 4},
		{Host: "h1", Addr: "192.168.100.101:8082", Link: "down", Failures: 3, Errors: 3, Ejected: true},
		{Host: "h1", Addr: "192.168.100.101:8081"}, // never asked
	}
}

func TestAStoreThatWasNeverAskedIsNotShown(t *testing.T) {
	got := look(signals())
	if len(got) != 2 || got[0].Host != "h1" || got[1].Host != "h2" {
		t.Fatalf("%+v", got)
	}
	gone := signals()
	gone[0].Freshness = 3 * time.Second
	if s := look(gone)[1]; !s.Silent || !strings.Contains(strings.Join(draw(told{Stores: []Store{s}}), "\n"), "silent") {
		t.Errorf("three seconds without a packet: %+v", s)
	}
	if s := got[1]; s.Silent || s.Score != 8e6 || s.RTT != 0.012 || s.Owed != 9 {
		t.Errorf("%+v", s)
	}
}

func TestABoardFitsATerminalOf80Columns(t *testing.T) {
	lines := draw(told{Rate: 912.3e6, Stalls: 10, Steals: 1234, Failovers: 99, Stores: look(signals())})
	for _, l := range lines {
		if n := utf8.RuneCountInString(l); n > 78 { // two are the margin
			t.Errorf("%d columns: %q", n, l)
		}
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{"ejected", "12 ms", "2.1%", "1024 K", "8.0", "1234 steals"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

// locked is a buffer for a writer on another goroutine.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestProgressAsJSONTellsTheStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &locked{}
		b := Start(console.NewProgress(console.ProgressJSON, out), signals)
		b.Event(quicclient.Event{Kind: quicclient.EventStall, Position: 2 * time.Second})
		b.Event(quicclient.Event{Kind: quicclient.EventChunk, Position: 3 * time.Second, Chunk: quicclient.ChunkRecord{Hedges: 2, Retries: 1}})
		time.Sleep(3 * time.Second) // of the bubble
		b.Close()
		lines := strings.Split(strings.TrimSpace(out.b.String()), "\n")
		if len(lines) < 4 || len(lines) > 7 {
			t.Fatalf("%d lines in 3 s", len(lines))
		}
		var last told
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
			t.Fatal(err)
		}
		if last.Stalls != 1 || last.Steals != 2 || last.Failovers != 1 || last.Position != 3 || len(last.Stores) != 2 {
			t.Errorf("%+v", last)
		}
	})
}

func TestWhereNobodyLooksNothingIsDone(t *testing.T) {
	var out bytes.Buffer
	b := Start(console.NewProgress(console.ProgressLines, &out), func() []quicclient.StoreSignals {
		t.Error("the stores were looked at")
		return nil
	})
	b.Event(quicclient.Event{})
	b.Close()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
