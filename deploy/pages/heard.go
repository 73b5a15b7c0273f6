package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// heardEvery is how often what the stores told is passed on to the pages.
	heardEvery = 100 * time.Millisecond
	// heardMost bounds the messages and answers of one such look; more are counted, not shown.
	heardMost = 200
	// heardStores bounds the stores that are listened to: those of the first groups.
	heardStores = 96
	// heardMap is how often the placement is read for stores that are new.
	heardMap = 10 * time.Second
	// heardPause is between two questions to a store that does not answer.
	heardPause = 2 * time.Second
	// heardBusy and heardQuiet are the messages a second above which the sample gets thinner and
	// below which it gets thicker.
	heardBusy, heardQuiet = 120, 20
	// heardThin bounds how thin it gets.
	heardThin = 1 << 10
	// heardBeat tells a page on which nothing happens that the stream lives.
	heardBeat = 5 * time.Second
)

// HeardNews is what the pages are told of messages of ChunkPaxos.
type HeardNews struct {
	OneIn   uint32        `json:"one_in"`  // of so many slots one is heard
	Stores  int           `json:"stores"`  // that tell
	Of      int           `json:"of"`      // that there are
	Missed  uint64        `json:"missed"`  // messages and answers that came too fast
	Refused string        `json:"refused"` // why a store does not tell
	Items   []HeardAtHost `json:"items"`
}

// HeardAtHost is a message or answer, and where.
type HeardAtHost struct {
	wire.Heard
	Host vstack.HostID `json:"host"`
	Addr string        `json:"addr"`
}

// listener listens to all stores while a page does.
type listener struct {
	voters Voters
	wg     sync.WaitGroup
	oneIn  atomic.Uint32

	mu     sync.Mutex
	pages  map[chan []byte]struct{}
	end    context.CancelFunc // nil while no page listens
	closed bool
	asked  map[vstack.StoreID]bool
	tells  map[vstack.StoreID]bool
	of     int
	missed uint64
	why    string
	items  []HeardAtHost
}

func newListener(voters Voters) *listener {
	return &listener{voters: voters, pages: map[chan []byte]struct{}{}}
}

// join is a page that listens from now on; the first one has the stores asked.
func (l *listener) join() chan []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	page := make(chan []byte, 16)
	if l.closed {
		close(page)
		return page
	}
	l.pages[page] = struct{}{}
	if l.end == nil {
		ctx, end := context.WithCancel(context.Background())
		l.end = end
		l.asked, l.tells, l.items, l.missed, l.why = map[vstack.StoreID]bool{}, map[vstack.StoreID]bool{}, nil, 0, ""
		l.oneIn.Store(1)
		l.wg.Go(func() { l.follow(ctx) })
		l.wg.Go(func() { l.pass(ctx) })
	}
	return page
}

// leave is a page that has gone; the last one lets the stores alone.
func (l *listener) leave(page chan []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pages, page)
	if len(l.pages) == 0 && l.end != nil {
		l.end()
		l.end = nil
	}
}

// follow asks every store of the placement map, those that are new as they come.
func (l *listener) follow(ctx context.Context) {
	for {
		if m, err := l.voters.RefreshPlacement(ctx); err == nil {
			l.mu.Lock()
			l.of = len(m.Stores)
			for _, s := range acceptorsOf(m) {
				if ctx.Err() == nil && !l.asked[s.ID] && len(l.asked) < heardStores {
					l.asked[s.ID] = true
					l.wg.Go(func() { l.listen(ctx, s) })
				}
			}
			l.mu.Unlock()
		}
		if !sleep.For(ctx, heardMap) {
			return
		}
	}
}

// acceptorsOf are the stores that vote, those of one group beside each other: what is heard of a
// group's slots is heard of all who vote on them.
func acceptorsOf(m *vstack.PlacementMap) (out []vstack.Store) {
	seen := map[vstack.StoreID]bool{}
	for _, g := range m.Groups {
		for _, id := range g.Acceptors() {
			if s, ok := m.Store(id); ok && !seen[id] {
				seen[id] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// listen asks one store again and again; each answer comes with its news.
func (l *listener) listen(ctx context.Context, s vstack.Store) {
	after, fresh := uint64(0), true
	for ctx.Err() == nil {
		page, err := l.voters.Messages(ctx, s.Addr, after, fresh, l.oneIn.Load())
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.tells[s.ID] = err == nil
		if err != nil {
			l.why = err.Error()
		}
		l.missed += page.Missed
		for _, h := range page.Items {
			if len(l.items) == heardMost {
				l.missed++
				continue
			}
			l.items = append(l.items, HeardAtHost{h, s.Host, s.Addr})
		}
		l.mu.Unlock()
		if err != nil {
			fresh = true
			if !sleep.For(ctx, heardPause) {
				return
			}
			continue
		}
		after, fresh = page.Next, false
	}
}

// pass tells the pages, and has the sample as thick as a person can follow.
func (l *listener) pass(ctx context.Context) {
	tick := time.NewTicker(heardEvery)
	defer tick.Stop()
	var told, second time.Time
	said, last := 0, ""
	for {
		var now time.Time
		select {
		case now = <-tick.C:
		case <-ctx.Done():
			return
		}
		news := l.take()
		said += len(news.Items)
		if now.Sub(second) >= time.Second {
			l.oneIn.Store(thinner(news.OneIn, said))
			second, said = now, 0
		}
		// Who tells counts as news; that nothing came, now and then.
		state := fmt.Sprint(news.OneIn, news.Stores, news.Of, news.Missed, news.Refused)
		if len(news.Items) == 0 && state == last && now.Sub(told) < heardBeat {
			continue
		}
		told, last = now, state
		if b, err := json.Marshal(news); err == nil {
			l.tell(b)
		}
	}
}

// thinner is the next sample, after a second with so many messages and answers.
func thinner(oneIn uint32, said int) uint32 {
	switch {
	case said > heardBusy:
		return min(oneIn*2, heardThin)
	case said < heardQuiet && oneIn > 1:
		return oneIn / 2
	}
	return oneIn
}

// take is what came since the last time.
func (l *listener) take() HeardNews {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := HeardNews{OneIn: l.oneIn.Load(), Of: l.of, Missed: l.missed, Items: l.items}
	l.items = nil
	for _, ok := range l.tells {
		if ok {
			n.Stores++
		}
	}
	if n.Stores < len(l.tells) {
		n.Refused = l.why
	}
	return n
}

// tell gives the news to every page; one that takes none misses some.
func (l *listener) tell(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for page := range l.pages {
		select {
		case page <- b:
		default:
		}
	}
}

// close ends all streams and waits for the questions under way.
func (l *listener) close() {
	l.mu.Lock()
	l.closed = true
	for page := range l.pages {
		delete(l.pages, page)
		close(page)
	}
	if l.end != nil {
		l.end()
		l.end = nil
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// getMessages streams what the stores hear.
func (s *Server) getMessages(w http.ResponseWriter, r *http.Request) {
	ctl := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	page := s.heard.join()
	defer s.heard.leave(page)
	say := func(text string) error {
		_, err := fmt.Fprint(w, text)
		return errors.Join(err, ctl.Flush())
	}
	err := say(": V-Stack\n\n")
	for err == nil {
		select {
		case b, open := <-page:
			if !open {
				return
			}
			err = say("data: " + string(b) + "\n\n")
		case <-r.Context().Done():
			return
		}
	}
}
