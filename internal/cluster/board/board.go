package board

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	// silence is how long no packet of a store comes before it is called silent.
	silence = 2500 * time.Millisecond
	// every is how often stores are looked at.
	every = 250 * time.Millisecond
	// barWidth is that of a store's part of the bytes, in cells.
	barWidth = 9
)

// Store is what is told of one store. Times are in seconds, rates in bits a second.
type Store struct {
	Store    vstack.StoreID `json:"store"`
	Host     vstack.HostID  `json:"host"`
	Addr     string         `json:"addr"`
	Link     string         `json:"link"`
	Score    float64        `json:"score"` // what it is expected to bring, bits a second
	RTT      float64        `json:"rtt"`
	Loss     float64        `json:"loss"` // share of its packets that were lost lately
	Cwnd     uint64         `json:"cwnd"` // bytes
	Queue    int            `json:"queue"`
	Owed     int64          `json:"owed"` // bytes asked for and not received
	Bytes    int64          `json:"bytes"`
	Chunks   int64          `json:"chunks"`
	Failures int64          `json:"failures"` // attempts
	Ejected  bool           `json:"ejected"`
	Silent   bool           `json:"silent"` // no packet came, though each second a PING asks for one
}

// told is a line of --progress json, beside those of the task "play".
type told struct {
	Task      string  `json:"task"`
	State     string  `json:"state"`
	Position  float64 `json:"position"` // seconds of media
	Buffer    float64 `json:"buffer"`
	Rate      float64 `json:"rate"` // bits a second that came lately
	Stalls    int     `json:"stalls"`
	Steals    int     `json:"steals"`    // attempts beside one that was late, or that took a part over
	Failovers int     `json:"failovers"` // attempts that failed and were another store's then
	Stores    []Store `json:"stores"`
}

// Board follows one playback until Close.
type Board struct {
	signals func() []quicclient.StoreSignals
	quit    chan struct{}
	done    chan struct{}

	mu   sync.Mutex
	play told
}

// Start shows the stores of a client beside the progress of a playback. Where nobody would see
// them it does nothing.
func Start(prog *console.Progress, signals func() []quicclient.StoreSignals) *Board {
	b := &Board{signals: signals, quit: make(chan struct{}), done: make(chan struct{}), play: told{Task: "stores", State: "running"}}
	lines := prog.Panel()
	if !lines.Shown() {
		close(b.done)
		return b
	}
	go b.run(lines)
	return b
}

// Event takes a step of the playback.
func (b *Board) Event(e quicclient.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.play.Position, b.play.Buffer = e.Position.Seconds(), e.Buffered.Seconds()
	switch e.Kind {
	case quicclient.EventStall:
		b.play.Stalls++
	case quicclient.EventChunk:
		b.play.Steals += e.Chunk.Hedges
		b.play.Failovers += e.Chunk.Retries
	}
}

// Close ends it and takes the lines away.
func (b *Board) Close() {
	close(b.quit)
	<-b.done
}

func (b *Board) run(lines *console.Panel) {
	defer close(b.done)
	defer lines.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	rate := meter{}
	for {
		select {
		case <-b.quit:
			return
		case now := <-tick.C:
			stores := look(b.signals())
			b.mu.Lock()
			play := b.play
			b.mu.Unlock()
			play.Stores, play.Rate = stores, rate.add(now, stores)
			lines.Set(draw(play), play)
		}
	}
}

// meter is the rate of all stores over the last second or so.
type meter struct {
	at    time.Time
	bytes int64
	rate  float64
}

func (m *meter) add(now time.Time, stores []Store) float64 {
	var sum int64
	for _, s := range stores {
		sum += s.Bytes
	}
	if !m.at.IsZero() {
		const weight = 0.25 // of the newest quarter of a second
		m.rate += weight * (float64(sum-m.bytes)*8/now.Sub(m.at).Seconds() - m.rate)
	}
	m.at, m.bytes = now, sum
	return m.rate
}

// look takes what is told of the stores that were used or tried, by their addresses.
func look(signals []quicclient.StoreSignals) (out []Store) {
	for _, s := range signals {
		if s.Conns == 0 && s.Bytes == 0 && s.Errors == 0 && s.Failures == 0 {
			continue
		}
		st := Store{
			Store: s.Store, Host: s.Host, Addr: s.Addr, Link: string(s.Link), Score: s.Goodput() * 8, Loss: s.Loss, Cwnd: s.Cwnd,
			Queue: s.InFlight, Owed: max(0, s.Pending-s.Ghosts), Bytes: s.Bytes, Chunks: s.Chunks, Failures: s.Errors, Ejected: s.Ejected,
		}
		if s.Measured {
			st.RTT = s.RTT.Seconds()
			st.Silent = s.Conns > 0 && s.Freshness > silence
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b Store) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Addr, b.Addr)) })
	return out
}

// draw makes the lines: at most 78 cells, so that a terminal of 80 shows them whole.
func draw(t told) []string {
	lines := []string{
		fmt.Sprintf("%.1f Mbit/s · %d stalls · %d steals · %d failovers", t.Rate/1e6, t.Stalls, t.Steals, t.Failovers),
		fmt.Sprintf("%-21s %7s %6s %6s %7s %5s %9s  %s", "STORE", "≈MBIT/S", "RTT", "LOSS", "CWND", "QUEUE", "BYTES", "SHARE"),
	}
	var most int64 = 1
	for _, s := range t.Stores {
		most = max(most, s.Bytes)
	}
	for _, s := range t.Stores {
		end := console.Bar(float64(s.Bytes)/float64(most), barWidth)
		switch {
		case s.Ejected:
			end = "ejected"
		case s.Silent:
			end = "silent"
		case s.Link == "down" || s.Link == "tcp" || s.Link == "dialing":
			end = s.Link
		}
		rtt := "–"
		if s.RTT > 0 {
			rtt = fmt.Sprintf("%.0f ms", s.RTT*1e3)
			if s.RTT < 0.01 {
				rtt = fmt.Sprintf("%.1f ms", s.RTT*1e3)
			}
		}
		lines = append(lines, fmt.Sprintf("%-21s %7.1f %6s %5.1f%% %7s %5d %9s  %s",
			console.Shorten(s.Addr, 21), s.Score/1e6, rtt, 100*s.Loss, kib(s.Cwnd), s.Queue, console.Bytes(s.Bytes), end))
	}
	return lines
}

func kib(n uint64) string { return fmt.Sprintf("%d K", n>>10) }
