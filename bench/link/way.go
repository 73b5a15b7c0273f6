package link

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/link/shape"
)

// Parcel is a packet on its way.
type Parcel struct {
	Data []byte
	To   Target

	size    int           // of the whole IP packet
	skipped time.Duration // from its arrival until it was pushed
}

// Target is where parcels go that have passed a way.
type Target interface {
	// Deliver sends parcels of this target, which are due, and gives them to the way's Sent.
	// It is called on the way's thread, or where a way that does nothing is pushed to.
	Deliver(w *Way, run []shape.Due[Parcel])
}

// Way is one direction of a link in real time.
type Way struct {
	began  time.Time // where the way's clock starts
	sleep  sleeper
	thread sync.WaitGroup
	once   sync.Once // closes

	mu      sync.Mutex // guards what is below
	shaper  *shape.Shaper[Parcel]
	plain   bool          // its plan does nothing: packets pass without the thread
	sending bool          // the thread delivers what it has taken out
	asleep  time.Duration // until when the thread sleeps
	roomAt  time.Duration // when those who wait for room should look again
	room    *sync.Cond
	closed  bool  // or the thread has ended
	err     error // why it has
	tally   tally
}

// NewWay makes a direction that follows the plan from now on, and starts its thread.
// Close ends it.
func NewWay(p shape.Plan, seed uint64) (*Way, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	s, err := newSleeper()
	if err != nil {
		return nil, err
	}
	w := &Way{began: time.Now(), sleep: s, shaper: shape.New[Parcel](p, seed, 0), plain: p.Idle(), asleep: shape.Forever, roomAt: shape.Forever, tally: newTally()}
	w.room = sync.NewCond(&w.mu)
	w.thread.Go(func() { w.end(w.run()) })
	return w, nil
}

// SetPlan follows another plan from now on.
func (w *Way) SetPlan(p shape.Plan) error {
	if err := p.Validate(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shaper.SetPlan(w.now(), p)
	w.plain = p.Idle()
	w.room.Broadcast()
	w.poke()
	return nil
}

// Push sends a packet that came at a time, of so many bytes with all headers. Chance and
// a full queue may take it. It reports whether it was taken: the parcel then is the way's.
func (w *Way) Push(arrived time.Time, size int, dice *rand.Rand, p Parcel) bool {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return false
	}
	if w.idle() {
		w.mu.Unlock()
		w.pass(arrived, size, p)
		return true
	}
	defer w.mu.Unlock()
	return w.push(arrived, size, dice, p)
}

// idle reports whether a packet would pass at once, with none before it.
func (w *Way) idle() bool {
	_, under := w.shaper.Queued(0)
	return w.plain && under == 0 && !w.sending
}

// pass delivers a packet without the thread.
func (w *Way) pass(arrived time.Time, size int, p Parcel) {
	at := w.now()
	p.size, p.skipped = size, max(0, at-arrived.Sub(w.began))
	p.To.Deliver(w, []shape.Due[Parcel]{{At: at, Packet: p}})
}

// PushWhole sends a packet that must not vanish, once there is room for it. It returns
// false when the way was closed meanwhile, or when stop, which Wake has looked at, says so.
func (w *Way) PushWhole(size int, p Parcel, stop func() bool) bool {
	w.mu.Lock()
	for !w.closed && !stop() {
		if w.idle() {
			w.mu.Unlock()
			w.pass(time.Now(), size, p)
			return true
		}
		ok, when := w.shaper.Fits(w.now(), size)
		if ok {
			defer w.mu.Unlock()
			return w.push(time.Now(), size, nil, p)
		}
		w.roomAt = min(w.roomAt, when)
		w.poke()
		w.room.Wait()
	}
	w.mu.Unlock()
	return false
}

// Wake has PushWhole look at its stop.
func (w *Way) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room.Broadcast()
}

// Sent counts parcels that a target has sent just now.
func (w *Way) Sent(run []shape.Due[Parcel]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	for _, d := range run {
		w.tally.sent(d.Packet.size, now-d.At+d.Packet.skipped)
	}
}

// Overran counts packets that the kernel dropped because nobody read them in time.
func (w *Way) Overran(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tally.counts.Overrun += int64(n)
}

// Counts is what the way did until now.
func (w *Way) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tally.read()
}

// CountAnew forgets what was counted.
func (w *Way) CountAnew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tally = newTally()
}

// Close ends the thread. What is under way is lost.
func (w *Way) Close() error {
	w.once.Do(func() {
		w.end(nil)
		w.sleep.wake()
		w.thread.Wait()
		if err := w.sleep.close(); err != nil {
			w.end(fmt.Errorf("close event of a link: %w", err))
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// end has everybody stop who uses the way; the first error stays.
func (w *Way) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.err == nil {
		w.err = err
	}
	w.room.Broadcast()
}

// Time is a moment of the way's clock.
func (w *Way) Time(at time.Duration) time.Time { return w.began.Add(at) }

func (w *Way) now() time.Duration { return time.Since(w.began) }

func (w *Way) push(arrived time.Time, size int, dice *rand.Rand, p Parcel) bool {
	at := arrived.Sub(w.began)
	p.size = size
	p.skipped = max(0, w.shaper.Now()-at)
	fate := w.shaper.Push(at, size, dice, p)
	w.tally.fate(fate)
	w.poke()
	return fate == shape.Taken || fate == shape.Overtaken
}

// poke wakes the thread if it sleeps beyond what comes next.
func (w *Way) poke() {
	if next := min(w.shaper.Next(), w.roomAt); next < w.asleep && !w.closed {
		w.asleep = next
		w.sleep.wake()
	}
}

// run sends what is due, on a thread of its own.
func (w *Way) run() error {
	runtime.LockOSThread() // never unlocked: the thread ends with it
	if err := w.sleep.precise(); err != nil {
		return err
	}
	var due []shape.Due[Parcel]
	for {
		clear(due)
		var wait time.Duration
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return nil
		}
		now := w.now()
		due = w.shaper.Pop(now, due[:0])
		if now >= w.roomAt {
			w.roomAt = shape.Forever
			w.room.Broadcast()
		}
		w.sending = len(due) > 0
		w.asleep = 0 // awake: nobody need wake it
		if len(due) == 0 {
			w.asleep = min(w.shaper.Next(), w.roomAt)
			wait = w.asleep - now
		}
		w.mu.Unlock()
		if len(due) > 0 {
			w.deliver(due)
		} else if err := w.sleep.sleep(wait); err != nil {
			return err
		}
	}
}

// deliver gives each target its parcels, neighbours together.
func (w *Way) deliver(due []shape.Due[Parcel]) {
	for len(due) > 0 {
		n := 1
		for n < len(due) && due[n].Packet.To == due[0].Packet.To {
			n++
		}
		due[0].Packet.To.Deliver(w, due[:n])
		due = due[n:]
	}
}
