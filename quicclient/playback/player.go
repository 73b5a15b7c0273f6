package playback

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Player runs one playback. Its goroutine is Run's caller; fetches run beside it and
// report over results.
type Player struct {
	opt    Options
	tracks []vstack.Track
	items  []item              // in playing order
	queue  [][]item            // by track: not handed to the sink yet, in order
	ready  []map[uint32]result // by track: verified, waiting for an earlier one

	now   func() time.Duration // since the playback began
	fetch Fetch

	// starters is how many items the playback cannot start without.
	starters int
	model    *model
	report   Report
	next     int // of items, to ask for
	inFlight int // asked for and not handed to the sink
	seen     playState
	ticked   time.Duration // when the position was last told of
}

// tickEvery is how often the position is told of.
const tickEvery = 250 * time.Millisecond

type result struct {
	item    item
	data    []byte
	how     Delivery
	release func()
	err     error
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
	var fetches sync.WaitGroup
	defer fetches.Wait()
	defer cancel()
	results := make(chan result, p.opt.InFlight) // so that no fetch waits for the player
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := p.now()
		p.model.advance(now)
		p.announce(now)
		if p.report.Chunks == len(p.items) && (p.opt.Speed == 0 || p.model.state == playEnded) {
			return nil
		}
		for p.mayAsk(now) {
			it := p.items[p.next]
			p.next++
			p.inFlight++
			due := p.model.dueAt(now, it.start)
			fetches.Go(func() {
				r := result{item: it}
				r.data, r.how, r.release, r.err = p.fetch(ctx, it.slot, it.ref, due)
				results <- r
			})
		}
		p.sleepUntilNeeded(timer, now)
		select {
		case r := <-results:
			if err := p.take(ctx, r); err != nil {
				return err
			}
		case <-timer.C:
			p.tick()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mayAsk reports whether the next chunk may be asked for: within the window of media
// time, and of memory.
func (p *Player) mayAsk(now time.Duration) bool {
	if p.next == len(p.items) || p.inFlight >= p.opt.InFlight {
		return false
	}
	if p.next >= p.starters && p.model.state == playWaiting && p.opt.Speed != 0 {
		return false // what comes later must not take bandwidth from the first picture
	}
	return p.opt.Speed == 0 || p.items[p.next].start < p.model.position(now)+p.opt.Buffer
}

// sleepUntilNeeded sets the timer to when the window reaches the next chunk, or the
// position the end of what is there.
func (p *Player) sleepUntilNeeded(timer *time.Timer, now time.Duration) {
	timer.Stop()
	if p.opt.Speed == 0 || p.model.state != playPlaying {
		return // only a chunk can change anything
	}
	at := p.model.exhausted()
	if p.next < len(p.items) && p.inFlight < p.opt.InFlight {
		at = min(at, p.model.dueAt(now, p.items[p.next].start-p.opt.Buffer))
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

// take handles one fetched chunk: what is now in order goes to the sink.
func (p *Player) take(ctx context.Context, r result) error {
	if r.err != nil {
		return r.err
	}
	t := r.item.track
	p.ready[t][r.item.ref.Seq] = r
	for len(p.queue[t]) > 0 {
		it := p.queue[t][0]
		got, ok := p.ready[t][it.ref.Seq]
		if !ok {
			return nil
		}
		delete(p.ready[t], it.ref.Seq)
		p.queue[t] = p.queue[t][1:]
		if p.opt.Sink != nil {
			if err := p.opt.Sink.Chunk(ctx, p.tracks[t], it.ref, got.data); err != nil {
				return fmt.Errorf("hand chunk %s to the sink: %w", it.slot, err)
			}
		}
		got.release()
		p.inFlight--
		p.handedOn(it, got.how)
	}
	return nil
}

// handedOn accounts for a chunk that the sink has.
func (p *Player) handedOn(it item, how Delivery) {
	now := p.now()
	if it.end > 0 || it.last {
		p.model.delivered(now, it.slot.Track, it.end, it.last)
	}
	rec := p.report.add(it, how, now)
	p.announce(now)
	p.emit(Event{Kind: EventChunk, Chunk: rec}, now)
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
	e.Done, e.Total = p.report.Chunks, len(p.items)
	p.opt.OnEvent(e)
}

// finish completes the report.
func (p *Player) finish() {
	now := p.now()
	p.report.Elapsed = now.Seconds()
	p.report.Startup = p.model.startup.Seconds()
	p.report.Stalls = p.model.stalls
	p.report.StallTime = p.model.stallTime(now).Seconds()
	p.report.Played = (p.model.position(now) - p.items[0].start).Seconds()
	p.report.summarize()
}
