package playback

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Player runs one playback. Its goroutine is Run's caller; fetches run beside it and
// leave what they bring in their calls.
type Player struct {
	opt      Options
	manifest *vstack.Manifest
	lanes    []*lane

	now   func() time.Duration // since the playback began
	fetch Fetch

	model    *model
	report   Report
	rate     meter
	inFlight int // asked for and not handed to the sink in full
	seen     playState
	ticked   time.Duration // when the position was last told of
	from     time.Duration // the position at the start, or at the last seek

	fetches sync.WaitGroup
	grown   chan struct{} // a fetch brought something; capacity 1
	mu      sync.Mutex    // of what fetches write
}

// tickEvery is how often the position is told of.
const tickEvery = 250 * time.Millisecond

const (
	// earlyBuffer is how far ahead of its first picture a playback asks at once; fillSpeed how much
	// media it asks for, per second that it plays, until all of the buffer is full.
	earlyBuffer = 6 * time.Second
	fillSpeed   = 3
)

// New checks the options and lays the chunks of the tracks out in playing order. now is
// the time since the playback began; Run and it are the only ones to use fetch.
//
// Errors: ErrInvalid for options or a manifest that make no sense.
func New(m *vstack.Manifest, opt Options, fetch Fetch, now func() time.Duration) (*Player, error) {
	if err := opt.validate(); err != nil {
		return nil, err
	}
	tracks, err := selectTracks(m, opt.Tracks)
	if err != nil {
		return nil, err
	}
	p := &Player{opt: opt, manifest: m, fetch: fetch, now: now, grown: make(chan struct{}, 1)}
	if p.lanes, err = newLanes(m, tracks, opt.Adaptive); err != nil {
		return nil, err
	}
	start, media, total := time.Duration(math.MaxInt64), time.Duration(0), 0
	for _, l := range p.lanes {
		start, media = min(start, l.plan[0].start), max(media, l.plan[len(l.plan)-1].end)
		total += len(l.plan)
	}
	p.model, p.from = newModel(opt.Speed, start, media), start
	for _, l := range p.lanes {
		p.model.expect(l.number)
	}
	p.report = newReport(m, opt, p.lanes, media-start)
	p.report.Total = total
	return p, nil
}

// Slots calls yield for every chunk that may be played, in the order of the tracks.
func (p *Player) Slots(yield func(vstack.Slot) bool) {
	for _, l := range p.lanes {
		for _, t := range l.renditions {
			if !t.Init.ID.IsZero() && !yield(vstack.Slot{Video: p.manifest.Video, Track: t.Number, Seq: t.Init.Seq}) {
				return
			}
			for _, c := range t.Chunks {
				if !yield(vstack.Slot{Video: p.manifest.Video, Track: t.Number, Seq: c.Seq}) {
					return
				}
			}
		}
	}
}

// Run plays to the end, or to the first error: fetch's, the sink's or ctx's. The report
// covers what happened until then.
func (p *Player) Run(ctx context.Context) (Report, error) {
	err := p.run(ctx)
	p.finish()
	return p.report, err
}

func (p *Player) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.drain()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := p.now()
		p.model.advance(now)
		p.announce(now)
		if p.over() {
			return nil
		}
		p.ask(ctx, now)
		p.schedule(now)
		p.sleepUntilNeeded(timer, now)
		select {
		case <-p.grown:
			if err := p.take(ctx); err != nil {
				return err
			}
		case <-timer.C:
			p.tick()
		case c := <-p.opt.Commands:
			p.obey(c)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// over reports whether everything was handed on, and watched if anyone watches.
func (p *Player) over() bool {
	for _, l := range p.lanes {
		if len(l.plan) > 0 || len(l.queue) > 0 {
			return false
		}
	}
	return p.opt.Speed == 0 || p.model.state == playEnded
}

// ask begins fetches within the window of media time, and of memory.
func (p *Player) ask(ctx context.Context, now time.Duration) {
	for p.inFlight < p.opt.InFlight {
		l := nextOf(p.lanes)
		if l == nil {
			return
		}
		if p.model.state == playWaiting && p.opt.Speed != 0 {
			// What comes later must not take bandwidth from the first picture.
			if l = nextOf(p.waiting()); l == nil {
				return
			}
		}
		if p.opt.Speed != 0 && p.model.position(now) <= p.opens(l.plan[0].start) {
			return
		}
		if l.begun {
			p.adapt(l, now)
		}
		p.begin(ctx, l, now)
	}
}

// opens is the position from which on what starts at a media time may be asked for: once it lies
// within Buffer, and within what has been filled of that so far. A playback that has just begun
// fills earlyBuffer at once and two seconds a second from then on: viewers who begin at the same
// time on the same links leave each other the first pictures.
func (p *Player) opens(start time.Duration) time.Duration {
	filling := start - min(start, p.from) - earlyBuffer
	return max(start-p.opt.Buffer, p.from+time.Duration(float64(filling)/fillSpeed))
}

// waiting are the lanes whose first media chunk has not been asked for.
func (p *Player) waiting() (out []*lane) {
	for _, l := range p.lanes {
		if !l.begun {
			out = append(out, l)
		}
	}
	return out
}

// begin fetches a lane's next chunk.
func (p *Player) begin(ctx context.Context, l *lane, now time.Duration) {
	c := &call{item: l.plan[0], ended: make(chan struct{})}
	l.plan = l.plan[1:]
	l.queue = append(l.queue, c)
	if c.end > 0 || c.last {
		l.begun = true
	} else {
		l.inits[c.track.Number] = true
	}
	p.inFlight++
	if p.inFlight == 1 {
		p.rate.begin(now)
	}
	ctx, c.cancel = context.WithCancel(ctx)
	c.due.Store(int64(p.model.dueAt(now, c.start)))
	ask := Ask{
		Slot: c.slot, Ref: c.ref, Due: func() time.Duration { return time.Duration(c.due.Load()) },
		Progress: func(head []byte) { p.brought(func() { c.head = head }) },
	}
	for _, part := range c.parts {
		ask.Paces = append(ask.Paces, p.model.wall(part.start-c.start))
	}
	p.fetches.Go(func() {
		defer close(c.ended)
		data, how, release, err := p.fetch(ctx, ask)
		p.brought(func() {
			c.done, c.data, c.how, c.release, c.err = true, data, how, release, err
			if err == nil {
				c.head = data
			}
		})
	})
}

// brought notes what a fetch brings.
func (p *Player) brought(note func()) {
	p.mu.Lock()
	note()
	p.mu.Unlock()
	select {
	case p.grown <- struct{}{}:
	default: // it will look anyway
	}
}

// schedule tells the fetches under way when they are needed now.
func (p *Player) schedule(now time.Duration) {
	for _, l := range p.lanes {
		for _, c := range l.queue {
			c.due.Store(int64(p.model.dueAt(now, c.start)))
		}
	}
}

// sleepUntilNeeded sets the timer to when the window reaches the next chunk, or the
// position the end of what is there.
func (p *Player) sleepUntilNeeded(timer *time.Timer, now time.Duration) {
	timer.Stop()
	if p.opt.Speed == 0 || p.model.state != playPlaying {
		return // only a chunk can change anything
	}
	at := p.model.exhausted()
	if l := nextOf(p.lanes); l != nil && p.inFlight < p.opt.InFlight {
		at = min(at, p.model.dueAt(now, p.opens(l.plan[0].start)))
	}
	if p.opt.OnEvent != nil {
		at = min(at, p.ticked+tickEvery)
	}
	// The window is open at its bound, hence the extra nanosecond-sized step.
	timer.Reset(max(at-now, 0) + time.Microsecond)
}

// tick tells of the position, if that is due.
func (p *Player) tick() {
	now := p.now()
	if p.opt.OnEvent == nil || p.model.state != playPlaying || now < p.ticked+tickEvery {
		return
	}
	p.ticked = now
	p.model.advance(now)
	p.emit(Event{Kind: EventPosition}, now)
}

// announce tells of a change of the playback's state.
func (p *Player) announce(now time.Duration) {
	before, state := p.seen, p.model.state
	if before == state {
		return
	}
	p.seen = state
	if before == playWaiting && state != playWaiting {
		p.emit(Event{Kind: EventStarted}, now)
	}
	switch {
	case state == playStalled:
		p.emit(Event{Kind: EventStall}, now)
	case before == playStalled:
		p.emit(Event{Kind: EventResumed}, now)
	}
	if state == playEnded {
		p.emit(Event{Kind: EventEnded}, now)
	}
}

func (p *Player) emit(e Event, now time.Duration) {
	if p.opt.OnEvent == nil {
		return
	}
	e.Time, e.Position = now, p.model.position(now)
	e.Buffered = p.model.end() - e.Position
	e.Done, e.Total = p.report.Chunks, p.report.Total
	p.opt.OnEvent(e)
}

// drain waits for every fetch and gives back what it brought.
func (p *Player) drain() {
	p.fetches.Wait()
	for _, l := range p.lanes {
		for _, c := range l.queue {
			if c.err == nil && c.release != nil {
				c.release()
			}
		}
	}
}
