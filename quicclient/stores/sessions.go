package stores

import (
	"crypto/tls"
	"sync"

	"github.com/quic-go/quic-go"
)

// maxSessions bounds the stores whose sessions are remembered.
const maxSessions = 1024

// Sessions remembers what stores gave to readers for the next time: TLS session tickets
// and address tokens, by the store's address. A resumed
// handshake sends no certificate, and with the token the server believes the address at
// once. Requests do not travel in the first flight (0-RTT): see lane.handshake. Clients of one process may share one.
//
// They hold nothing of a certificate: readers show none, and servers give no ticket to
// connections that showed one.
type Sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

type session struct {
	tickets tls.ClientSessionCache
	tokens  quic.TokenStore
}

// NewSessions remembers nothing yet.
func NewSessions() *Sessions { return &Sessions{byID: map[string]*session{}} }

func (s *Sessions) of(addr string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.byID[addr]; known != nil {
		return known
	}
	if len(s.byID) >= maxSessions {
		clear(s.byID) // a new handshake each is what forgetting costs
	}
	made := &session{tickets: &tickets{}, tokens: quic.NewLRUTokenStore(1, 4)}
	s.byID[addr] = made
	return made
}

// maxTickets bounds the tickets of one store that are kept: each connection brings one.
const maxTickets = 4

// tickets keeps the newest session tickets of one store and gives each out once: a ticket
// that is shown twice tells an onlooker that both connections are one client's, and
// quic-go writes into the state behind a ticket while it resumes.
type tickets struct {
	mu   sync.Mutex
	kept []*tls.ClientSessionState // oldest first
}

// Get takes the newest ticket out. The key is the store's name, and there is one only.
func (t *tickets) Get(string) (*tls.ClientSessionState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.kept) - 1
	if last < 0 {
		return nil, false
	}
	cs := t.kept[last]
	t.kept[last] = nil
	t.kept = t.kept[:last]
	return cs, true
}

// Put keeps a ticket; nil says that the one given out last was of no use.
func (t *tickets) Put(_ string, cs *tls.ClientSessionState) {
	if cs == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) == maxTickets {
		t.kept = t.kept[1:]
	}
	t.kept = append(t.kept, cs)
}
