package playback

import (
	"context"
	"fmt"
)

// take hands to the sink what has come and is next.
func (p *Player) take(ctx context.Context) error {
	for _, l := range p.lanes {
		for len(l.queue) > 0 {
			c := l.queue[0]
			p.mu.Lock()
			head, done, err := c.head, c.done, c.err
			p.mu.Unlock()
			if err != nil {
				return err
			}
			if err := p.hand(ctx, c, head, done); err != nil {
				return fmt.Errorf("hand chunk %s to the sink: %w", c.slot, err)
			}
			if !done {
				break
			}
			l.queue = l.queue[1:]
			c.cancel()
			p.complete(c)
		}
	}
	// The first to fail ends the playback, also while it waits for an earlier one.
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		for _, c := range l.queue {
			if c.done && c.err != nil {
				return c.err
			}
		}
	}
	return nil
}

// hand hands on the fragments of a chunk that are proven and were not handed on yet, or,
// to a sink that wants whole chunks, the chunk.
func (p *Player) hand(ctx context.Context, c *call, head []byte, done bool) error {
	sink, parts := p.opt.Sink.(FragmentSink)
	first := 0
	if c.given > 0 {
		first = c.parts[c.given-1].bytes
	}
	upto := first
	for c.given < len(c.parts) && c.parts[c.given].bytes <= len(head) {
		part := c.parts[c.given]
		upto = part.bytes
		c.given++
		if !parts && p.opt.Sink != nil && !done {
			c.given--
			return nil // it may show nothing before it has all of the chunk
		}
		last := c.given == len(c.parts)
		if parts {
			if err := sink.Fragment(ctx, c.track, c.ref, head[first:upto], last); err != nil {
				return err
			}
			first = upto
		} else if last && p.opt.Sink != nil {
			if err := p.opt.Sink.Chunk(ctx, c.track, c.ref, c.data); err != nil {
				return err
			}
		}
		p.played(c, part, last)
	}
	return nil
}

// played accounts for a fragment that the sink has.
func (p *Player) played(c *call, part part, last bool) {
	if c.end == 0 && !c.last {
		return // an init chunk shows nothing
	}
	now := p.now()
	p.report.lateness(p.model.lateness(now, part.start))
	p.model.delivered(now, p.lanes[c.lane].number, part.end, last && c.last)
	p.announce(now)
}

// complete accounts for a chunk that the sink has.
func (p *Player) complete(c *call) {
	now := p.now()
	c.release()
	p.inFlight--
	p.rate.received(now, int64(c.ref.Size))
	if p.inFlight == 0 {
		p.rate.end(now)
	}
	rec := p.report.add(c.item, c.how, now)
	p.emit(Event{Kind: EventChunk, Chunk: rec}, now)
}

// finish completes the report.
func (p *Player) finish() {
	now := p.now()
	p.report.Elapsed = now.Seconds()
	p.report.Startup = p.model.startup.Seconds()
	p.report.Stalls = p.model.stalls
	p.report.StallTime = p.model.stallTime(now).Seconds()
	p.report.Buffer = p.model.buffered()
	p.report.Played = (p.model.position(now) - p.model.start).Seconds()
	p.report.Seeks, p.report.SeekTime = p.model.seeks, p.model.seeking.Seconds()
	p.report.summarize()
}

// obey carries a command out; one that makes no sense is ignored.
func (p *Player) obey(c Command) {
	now := p.now()
	p.model.advance(now)
	if c.Speed > 0 && p.opt.Speed > 0 {
		p.opt.Speed = c.Speed
		p.model.setSpeed(now, c.Speed)
	}
	if !c.Seek || c.To < p.model.start || c.To > p.model.media || p.opt.Speed == 0 {
		return
	}
	for i, l := range p.lanes {
		for _, call := range l.queue {
			p.forget(call)
			if call.end == 0 && !call.last && call.given == 0 {
				l.inits[call.track.Number] = false // it was asked for and never handed on
			}
		}
		l.queue = nil
		l.from(p.manifest.Video, c.To, i)
	}
	p.model.seek(now, c.To)
	p.from = c.To
	p.seen = playWaiting
	p.emit(Event{Kind: EventSeek}, now)
}

// forget cancels a fetch that nobody waits for any more; what it brings is given back.
func (p *Player) forget(c *call) {
	c.cancel()
	p.inFlight--
	p.fetches.Go(func() {
		<-c.ended
		if c.err == nil && c.release != nil {
			c.release()
		}
	})
}
