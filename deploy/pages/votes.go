package pages

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// votesEvery is how old an answer may be: many pages cost stores no more than one.
	votesEvery = time.Second
	// votesTimeout bounds one look.
	votesTimeout = 2 * time.Second
	// votesTracks and votesSlots bound what is looked at: the newest slots of some tracks.
	votesTracks = 2
	votesSlots  = 6
	// votesParallel bounds the questions under way.
	votesParallel = 12
)

// Voters is what a look at the votes asks; *cluster.Cluster and its client are one.
type Voters interface {
	RefreshPlacement(ctx context.Context) (*vstack.PlacementMap, error)
	// Slot asks one store what it holds for a slot of an open upload.
	Slot(ctx context.Context, addr string, slot vstack.Slot) (message.SlotState, error)
	// Messages asks one store what it heard after a number, or what it hears from now on (fresh),
	// of one slot in oneIn; it answers as soon as there is something, else after two seconds.
	Messages(ctx context.Context, addr string, after uint64, fresh bool, oneIn uint32) (wire.HeardPage, error)
}

// Votes is what acceptors hold for the newest slots of an upload that runs.
type Votes struct {
	Upload vstack.UploadID `json:"upload,omitzero"` // absent: no upload runs
	Video  vstack.VideoID  `json:"video,omitzero"`
	Title  string          `json:"title,omitempty"`
	Slots  []SlotVotes     `json:"slots"` // the newest first
}

// SlotVotes is one slot.
type SlotVotes struct {
	Slot      vstack.Slot    `json:"slot"`
	PG        vstack.PG      `json:"pg"`
	Epoch     vstack.Epoch   `json:"epoch"`
	Chosen    bool           `json:"chosen"` // a majority has one value at one ballot
	Acceptors []AcceptorVote `json:"acceptors"`
}

// AcceptorVote is what one store answered.
type AcceptorVote struct {
	Store vstack.StoreID `json:"store"`
	Host  vstack.HostID  `json:"host"`
	Addr  string         `json:"addr"`
	message.SlotState
	Error string `json:"error,omitempty"` // it did not say
}

// looker keeps the last look.
type looker struct {
	voters Voters
	jobs   func(ctx context.Context) []wire.Job

	mu   sync.Mutex
	at   time.Time
	last Votes
	err  error
}

// get looks, unless somebody just did.
func (l *looker) get(ctx context.Context) (Votes, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) < votesEvery {
		return l.last, l.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), votesTimeout)
	defer cancel()
	l.last, l.err = l.look(ctx)
	l.at = time.Now()
	return l.last, l.err
}

// look asks the acceptors of the newest slots of the newest job that runs.
func (l *looker) look(ctx context.Context) (Votes, error) {
	v := Votes{Slots: []SlotVotes{}}
	m, err := l.voters.RefreshPlacement(ctx)
	if err != nil {
		return v, err
	}
	for _, j := range l.jobs(ctx) {
		if j.State != wire.JobRunning || len(j.Tracks) == 0 {
			continue
		}
		v.Upload, v.Video, v.Title = j.Upload, j.Video, j.Title
		for _, t := range j.Tracks[:min(len(j.Tracks), votesTracks)] {
			// Slots are filled in about their order: those around the number that is chosen.
			first := max(t.Chunks-votesSlots/2, 0)
			for seq := first + votesSlots - 1; seq >= first; seq-- {
				slot := vstack.Slot{Video: j.Video, Track: t.Number, Seq: uint32(seq)}
				if g, ok := m.Group(slot); ok {
					one := SlotVotes{Slot: slot, PG: slot.PG(), Epoch: g.Epoch}
					for _, id := range g.Acceptors() {
						s, _ := m.Store(id)
						one.Acceptors = append(one.Acceptors, AcceptorVote{Store: id, Host: s.Host, Addr: s.Addr})
					}
					v.Slots = append(v.Slots, one)
				}
			}
		}
		break
	}
	l.ask(ctx, v.Slots)
	return v, nil
}

// ask fills in what the acceptors say.
func (l *looker) ask(ctx context.Context, slots []SlotVotes) {
	turns := make(chan struct{}, votesParallel)
	var wg sync.WaitGroup
	for i := range slots {
		for k := range slots[i].Acceptors {
			turns <- struct{}{}
			wg.Go(func() {
				defer func() { <-turns }()
				a := &slots[i].Acceptors[k]
				state, err := l.voters.Slot(ctx, a.Addr, slots[i].Slot)
				if err != nil {
					a.Error = err.Error()
					return
				}
				a.SlotState = state
			})
		}
	}
	wg.Wait()
	for i := range slots {
		ids := []vstack.StoreID{}
		reports := map[vstack.StoreID]message.Vote{}
		for _, a := range slots[i].Acceptors {
			ids = append(ids, a.Store)
			if a.Error == "" {
				reports[a.Store] = message.Vote{Slot: slots[i].Slot, Epoch: a.Epoch, Ballot: a.Accepted, Value: a.Value}
			}
		}
		_, slots[i].Chosen = message.ChosenOf(ids, reports)
	}
}

func (s *Server) getVotes(w http.ResponseWriter, r *http.Request) {
	v, err := s.votes.get(r.Context())
	if err != nil {
		refuse(w, fmt.Errorf("votes: %w", err))
		return
	}
	answer(w, v)
}
