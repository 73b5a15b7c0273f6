package tap

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// keep is how many messages and answers are kept.
	keep = 512
	// listens is how long a listener counts after it has asked.
	listens = 10 * time.Second
	// gather is how long an answer waits for more once it has something: few answers with
	// several messages cost less than many with one.
	gather = 150 * time.Millisecond
	// MaxOneIn bounds how thin a sample may be.
	MaxOneIn = 1 << 16
)

// Tap is one store's.
type Tap struct {
	store vstack.StoreID
	oneIn atomic.Uint32 // 0: nobody listens
	until atomic.Int64  // when the last listener counts no more, in Unix nanoseconds

	mu   sync.Mutex
	ring [keep]wire.Heard
	last uint64        // number of the newest; 0: none
	news chan struct{} // closed when there is a newer one; nil while nobody waits
}

// New makes the tap of a store.
func New(store vstack.StoreID) *Tap { return &Tap{store: store} }

// Message is one that came and is to be answered; nil where nobody hears it.
type Message struct {
	tap  *Tap
	came time.Time
	said wire.Heard
}

// Came notes a message about a slot from the holder of a certificate, if somebody listens for it.
// A nil Tap hears nothing.
func (t *Tap) Came(kind, from string, msg message.Message) *Message {
	if t == nil || t.oneIn.Load() == 0 {
		return nil
	}
	h := wire.Heard{Store: t.store, From: from, Kind: kind}
	switch m := msg.(type) {
	case message.Accept:
		h.Slot, h.Epoch, h.Ballot, h.Value = m.Slot, m.Epoch, m.Ballot, m.Value
	case message.Prepare:
		h.Slot, h.Epoch, h.Ballot = m.Slot, m.Epoch, m.Ballot
	default:
		return nil
	}
	now := time.Now()
	if !t.hears(h.Slot, now) {
		return nil
	}
	h.PG = h.Slot.PG()
	t.note(h, now)
	return &Message{tap: t, came: now, said: h}
}

// Answered notes what the store answered. A nil Message is none.
func (m *Message) Answered(reply message.Reply, err error) {
	if m == nil {
		return
	}
	h, now := m.said, time.Now()
	h.Took = now.Sub(m.came).Seconds()
	switch r := reply.(type) {
	case message.Accepted:
		h.Answer = "ACCEPTED"
	case message.Promise:
		h.Answer = "PROMISED"
		h.Holds = wire.HeardVote{Ballot: r.Accepted, Value: r.Value}
	case message.Nack:
		h.Answer = string(r.Reason.Code())
		h.Holds = wire.HeardVote{Ballot: r.Ballot, Value: r.Value}
	default:
		h.Answer = string(vstack.SentinelOf(err).Code())
	}
	m.tap.note(h, now)
}

// hears reports whether a slot is of the sample.
func (t *Tap) hears(slot vstack.Slot, now time.Time) bool {
	n := t.oneIn.Load()
	if n == 0 {
		return false
	}
	if now.UnixNano() > t.until.Load() {
		t.oneIn.CompareAndSwap(n, 0)
		return false
	}
	return Sampled(slot, n)
}

// Sampled reports whether one slot in n is this one; what is of a thinner sample is of every
// thicker one whose n divides it.
func Sampled(slot vstack.Slot, n uint32) bool {
	h := binary.BigEndian.Uint64(slot.Video[8:]) ^ uint64(slot.Track)<<32 ^ uint64(slot.Seq)
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd // of MurmurHash3: each bit in changes half of those out
	h ^= h >> 33
	return h%uint64(n) == 0
}

func (t *Tap) note(h wire.Heard, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	h.Number, h.Time = t.last, now.UTC()
	t.ring[t.last%keep] = h
	if t.news != nil {
		close(t.news)
		t.news = nil
	}
}

// Ask is a listener's question.
type Ask struct {
	After uint64        // number of the newest that is known
	Fresh bool          // nothing is known yet: After does not count, only what comes from now on does
	Wait  time.Duration // for something to come
	OneIn uint32        // the sample that is wanted; whoever asks last has it
}

// Listen answers what was heard after the last time, as soon as there is something.
func (t *Tap) Listen(ctx context.Context, ask Ask) wire.HeardPage {
	t.until.Store(time.Now().Add(listens + ask.Wait).UnixNano())
	t.oneIn.Store(ask.OneIn)
	t.mu.Lock()
	if ask.Fresh || ask.After > t.last { // or of the process before
		ask.After = t.last
	}
	var news chan struct{}
	if t.last == ask.After {
		if t.news == nil {
			t.news = make(chan struct{})
		}
		news = t.news
	}
	t.mu.Unlock()
	if news != nil {
		timer := time.NewTimer(ask.Wait)
		defer timer.Stop()
		select {
		case <-news:
		case <-timer.C:
			return t.since(ask)
		case <-ctx.Done():
			return t.since(ask)
		}
	}
	sleep.For(ctx, min(gather, ask.Wait))
	return t.since(ask)
}

func (t *Tap) since(ask Ask) wire.HeardPage {
	t.mu.Lock()
	defer t.mu.Unlock()
	page := wire.HeardPage{Next: t.last, OneIn: ask.OneIn, Items: []wire.Heard{}}
	first := ask.After + 1
	if t.last >= keep && first <= t.last-keep {
		page.Missed = t.last - keep - ask.After
		first = t.last - keep + 1
	}
	for n := first; n <= t.last; n++ {
		page.Items = append(page.Items, t.ring[n%keep])
	}
	return page
}
