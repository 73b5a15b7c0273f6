package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

// replay runs src/player/replay.ts under Node.
func replay(t *testing.T, asked, out any) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: node is not installed; make deps-test brings it with npm")
	}
	built := api.Build(api.BuildOptions{EntryPoints: []string{"src/player/replay.ts"}, Bundle: true, Platform: api.PlatformNode, Format: api.FormatCommonJS, Target: api.ES2022})
	if len(built.Errors) > 0 {
		t.Fatal(built.Errors)
	}
	script := filepath.Join(t.TempDir(), "replay.js")
	if err := os.WriteFile(script, built.OutputFiles[0].Contents, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, script)
	cmd.Stdin = bytes.NewReader(in)
	var said strings.Builder
	cmd.Stderr = &said
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
}

// told is a store's signals as the player has them, seconds.
type told struct{ RTT, Cwnd, Sent, Lost, Busy, Disk, Decode float64 }

func TestPlayerReadsAndWritesTheBytesOfTheDoor(t *testing.T) {
	var golden struct{ Request, Head, Tail, Signals string }
	b, err := os.ReadFile("../datanode/browser/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Request string
		Head    struct {
			Status, Body, Size, Leaves int
			RetryAfter                 float64
			Told                       told
		}
		Tail, Signals told
	}
	replay(t, map[string]any{"golden": golden, "chunk": vstack.ChunkIDOf([]byte("chunk")).String()}, &got)
	if got.Request != golden.Request {
		t.Errorf("request\n%s, want\n%s", got.Request, golden.Request)
	}
	want := told{0.020125, 65536, 1500, 3, 4, 0.00041, 0.007}
	if h := got.Head; h.Status != 206 || h.Body != 131072 || h.Size != 2<<20 || h.Leaves != 1024 || h.RetryAfter != 1.5 || h.Told != want {
		t.Errorf("head %+v", h)
	}
	if got.Tail != want || got.Signals != want {
		t.Errorf("tail %+v, signals %+v", got.Tail, got.Signals)
	}
}

// TestPlayerAsksAgainWhoHadNoRoom: after a seek all of the stores may owe bytes that were given up,
// and nothing of what is on its way says when they have room.
func TestPlayerAsksAgainWhoHadNoRoom(t *testing.T) {
	var got struct{ Full int }
	replay(t, map[string]any{"full": true}, &got)
	if got.Full == 0 {
		t.Error("a chunk was never asked for: its store had no room at first")
	}
}

// TestPlayerShowsAPictureBeforeItsFragmentIsHere: until there is something to go on with, and until
// that fragment ends, bytes are appended as they are proven; what a seek leaves off is taken back.
func TestPlayerShowsAPictureBeforeItsFragmentIsHere(t *testing.T) {
	var got struct{ Lane []string }
	replay(t, map[string]any{"lane": true}, &got)
	want := []string{
		"append 8", "proven 65536", "append 65536", // no picture yet: half of a fragment
		"proven 98000", "append 32464", "proven 131072", "append 2000", // to its end
		"proven 200000", "append 100000", // the next one at once
		"proven 65536", "append 65536", // after a seek again
		"proven 131072", "abort", "append 31072", // from the second fragment on
	}
	if d := cmp.Diff(want, got.Lane); d != "" {
		t.Errorf("the source buffer was given (-want +got):\n%s", d)
	}
}

// The player's words for a view.
type (
	viewJSON struct {
		Now    int64         `json:"now"`
		Stores []signalsJSON `json:"stores"`
		Pieces []pieceJSON   `json:"pieces"`
		Useful int64         `json:"useful"`
		Extra  int64         `json:"extra"`
	}
	signalsJSON struct {
		ID       string  `json:"id"`
		Up       bool    `json:"up"`
		Ejected  bool    `json:"ejected"`
		Link     string  `json:"link"`
		Down     bool    `json:"down"`
		Conns    int     `json:"conns"`
		Measured bool    `json:"measured"`
		RTT      int64   `json:"rtt"`
		MinRTT   int64   `json:"minRtt"`
		RTTVar   int64   `json:"rttVar"`
		Loss     float64 `json:"loss"`
		Silence  int64   `json:"silence"`
		TTFB     int64   `json:"ttfb"`
		Fast     float64 `json:"fast"`
		Slow     float64 `json:"slow"`
		Recent   float64 `json:"recent"`
		Busied   int64   `json:"busied"`
		Sampled  bool    `json:"sampled"`
		Pending  int64   `json:"pending"`
		InFlight int     `json:"inFlight"`
		Bytes    int64   `json:"bytes"`
	}
	pieceJSON struct {
		ID       uint64        `json:"id"`
		Chunk    uint64        `json:"chunk"`
		From     int64         `json:"from"`
		To       int64         `json:"to"`
		Arrived  int64         `json:"arrived"`
		Due      int64         `json:"due"`
		Fragment int64         `json:"fragment"`
		Grain    int64         `json:"grain"`
		Whole    bool          `json:"whole"`
		Holders  []int         `json:"holders"`
		Running  []attemptJSON `json:"running"`
	}
	attemptJSON struct {
		Store    int   `json:"store"`
		At       int64 `json:"at"`
		To       int64 `json:"to"`
		Before   int64 `json:"before"`
		Started  int64 `json:"started"`
		Progress int64 `json:"progress"`
		Answered bool  `json:"answered"`
	}
	actionJSON struct {
		Kind    string `json:"kind"`
		Piece   uint64 `json:"piece"`
		Store   int    `json:"store"`
		From    int64  `json:"from"`
		Length  int64  `json:"length"`
		Urgency uint8  `json:"urgency"`
	}
	decisionJSON struct {
		Actions []actionJSON `json:"actions"`
		Wake    int64        `json:"wake"`
	}
)

func shown(v policy.View) viewJSON {
	out := viewJSON{Now: int64(v.Now), Useful: v.Spent.Useful, Extra: v.Spent.Extra, Stores: []signalsJSON{}, Pieces: []pieceJSON{}}
	for i := range v.Stores {
		s := &v.Stores[i]
		out.Stores = append(out.Stores, signalsJSON{
			ID: s.Store.String(), Up: s.Up(), Ejected: s.Ejected, Link: string(s.Link), Down: s.State == vstack.StoreDown, Conns: s.Conns, Measured: s.Measured,
			RTT: int64(s.RTT), MinRTT: int64(s.MinRTT), RTTVar: int64(s.RTTVar), Loss: s.Loss, Silence: int64(s.Silence), TTFB: int64(s.TTFB), Fast: s.Fast, Slow: s.Slow, Recent: s.Recent,
			Busied: int64(s.Busied), Sampled: s.Sampled, Pending: s.Pending, InFlight: s.InFlight, Bytes: s.Bytes,
		})
	}
	for _, p := range v.Pieces {
		j := pieceJSON{
			ID: p.ID, Chunk: p.Chunk, From: p.From, To: p.To, Arrived: int64(p.Arrived), Due: int64(p.Due), Fragment: p.Fragment, Grain: p.Grain, Whole: p.Whole,
			Holders: p.Holders, Running: []attemptJSON{},
		}
		for _, a := range p.Running {
			j.Running = append(j.Running, attemptJSON{a.Store, a.At, a.To, a.Before, int64(a.Started), int64(a.Progress), a.Answered})
		}
		out.Pieces = append(out.Pieces, j)
	}
	return out
}

// someView is a situation as a playback may meet it.
func someView(r *rand.Rand) policy.View {
	between := func(lo, hi time.Duration) time.Duration { return lo + time.Duration(r.Int64N(int64(hi-lo))) }
	now, calm := between(20*time.Second, 100*time.Second), r.IntN(2) == 0 // nearly all is on its way
	v := policy.View{Now: now, Spent: policy.Spent{Useful: 50 << 20, Extra: r.Int64N(3 << 20)}}
	for i := range 2 + r.IntN(5) {
		s := policy.Signals{
			Store: vstack.StoreID{byte(i), byte(r.IntN(256))}, State: vstack.StoreUp, Link: policy.LinkQUIC, Conns: 1, Measured: r.IntN(8) > 0,
			RTT: between(200*time.Microsecond, 150*time.Millisecond), Silence: between(0, 2*time.Second), TTFB: between(0, 300*time.Millisecond),
			Pending: int64(r.IntN(2)) * r.Int64N(500_000), InFlight: r.IntN(4), Bytes: r.Int64N(4 << 20), Ejected: r.IntN(10) == 0,
		}
		s.RTTVar = s.RTT / 4
		if r.IntN(4) > 0 { // of some nothing is known
			s.MinRTT = s.RTT - min(s.RTT, between(0, 60*time.Millisecond))
		}
		if r.IntN(6) > 0 {
			rate := 1e4 * float64(1+r.IntN(4000))
			s.Sampled, s.Fast, s.Slow, s.Recent = true, rate*(0.5+r.Float64()), rate*(0.5+r.Float64()), rate*r.Float64()*1.5
			s.Busied = between(0, time.Second)
		}
		if r.IntN(4) == 0 {
			s.Loss = r.Float64() * 0.02
		}
		switch r.IntN(12) {
		case 0:
			s.Link, s.Conns = policy.LinkDown, 0
		case 1:
			s.Link, s.Conns = policy.LinkDialing, 0
		case 2:
			s.State = vstack.StoreDown
		}
		v.Stores = append(v.Stores, s)
	}
	id, due := uint64(1), now+between(-2*time.Second, 6*time.Second)
	if r.IntN(20) == 0 {
		due += time.Hour // without a clock
	}
	for c := range 1 + r.IntN(4) {
		size, at := int64(300_000+r.IntN(2<<20)), int64(0)
		fragment := (size / 3) / 65536 * 65536
		for at < size {
			p := policy.Piece{
				ID: id, Chunk: uint64(c + 1), From: at, To: min(size, at+65536*int64(1+r.IntN(12))), Size: size, Arrived: now - between(0, 3*time.Second), Due: due,
				Grain: 65536, Need: 1, Whole: r.IntN(15) == 0,
			}
			if r.IntN(4) == 0 { // some of it has come
				p.From += r.Int64N(30_000)
			}
			if p.Fragment = fragment * (p.From/fragment + 1); p.Fragment > size {
				p.Fragment = size
			}
			for i := range v.Stores {
				if r.IntN(5) > 0 {
					p.Holders = append(p.Holders, i)
				}
			}
			for _, h := range p.Holders {
				if len(p.Running) < 2 && r.IntN(4) == 0 || calm && len(p.Running) == 0 && r.IntN(30) > 0 {
					a := policy.Attempt{Store: h, At: p.From, To: p.To, Before: r.Int64N(200_000), Started: now - between(0, 3*time.Second), Answered: r.IntN(3) > 0}
					a.Progress = now - time.Duration(r.Int64N(int64(now-a.Started)+1))
					if calm {
						a.Progress = now - min(between(0, 150*time.Millisecond), now-a.Started)
					}
					p.Running = append(p.Running, a)
				}
			}
			if p.Holders == nil {
				p.Holders = []int{0}
			}
			v.Pieces = append(v.Pieces, p)
			id, at = id+1, p.To
		}
		due += between(0, 3*time.Second)
	}
	return v
}

// TestPlayerDecidesAsTheClient shows both the same situations: what the browser asks of whom is
// what the smart client would.
func TestPlayerDecidesAsTheClient(t *testing.T) {
	const views = 2000
	r := rand.New(rand.NewPCG(1, 2))
	type asked struct {
		View viewJSON `json:"view"`
		Seed string   `json:"seed"`
	}
	var all []asked
	var want []decisionJSON
	kinds := map[policy.Kind]string{policy.Start: "start", policy.Take: "take", policy.Eject: "eject"}
	count := map[string]int{}
	for range views {
		v, seed := someView(r), r.Uint64()
		all = append(all, asked{shown(v), fmt.Sprint(seed)})
		d := policy.NewSmart(seed).Decide(v)
		j := decisionJSON{Actions: []actionJSON{}, Wake: int64(d.Wake)}
		for _, a := range d.Actions {
			j.Actions = append(j.Actions, actionJSON{kinds[a.Kind], a.Piece, a.Store, a.From, a.Length, a.Urgency})
			count[kinds[a.Kind]]++
		}
		if len(j.Actions) == 0 {
			count["nothing"]++
		}
		want = append(want, j)
	}
	var got struct{ Decisions []decisionJSON }
	replay(t, map[string]any{"views": all}, &got)
	if len(got.Decisions) != views {
		t.Fatalf("%d decisions on %d views", len(got.Decisions), views)
	}
	wrong := 0
	for i := range want {
		if !reflect.DeepEqual(want[i], got.Decisions[i]) {
			if wrong++; wrong <= 3 {
				t.Errorf("view %d (-client +player):\n%s", i, cmp.Diff(want[i], got.Decisions[i]))
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d views are decided otherwise", wrong, views)
	}
	for _, kind := range []string{"start", "take", "eject", "nothing"} {
		if count[kind] < 100 {
			t.Errorf("%d times %s in all: the views show too little", count[kind], kind)
		}
	}
	t.Logf("%d views: %v", views, count)
}
