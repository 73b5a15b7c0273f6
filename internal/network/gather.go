package network

import (
	"net"
	"sync"
)

// gathered is how much goes to the kernel at once.
const gathered = 256 << 10

// rooms are the buffers of connections that gather just now.
var rooms = sync.Pool{New: func() any { return new([gathered]byte) }}

// Gather is a connection below TLS. TLS writes its records of 16 KiB one by one; between Hold and
// Flush they leave sixteen at a time, so that there are fewer calls, segments and, at the other
// end, wake-ups.
type Gather struct {
	net.Conn

	// mu guards the fields below. It is held while the kernel takes bytes, as TLS holds a lock of
	// its own there: nobody waits for this one who would not wait for that.
	mu   sync.Mutex
	room *[gathered]byte // nil unless held
	n    int
}

// NewGather makes one of a connection.
func NewGather(c net.Conn) *Gather { return &Gather{Conn: c} }

// Hold has what is written wait for more, until Flush.
func (g *Gather) Hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.room == nil {
		g.room = rooms.Get().(*[gathered]byte)
	}
}

// Flush sends what waits and ends Hold. Its error is that of the connection, which is of no
// use then.
func (g *Gather) Flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.room == nil {
		return nil
	}
	err := g.send()
	rooms.Put(g.room)
	g.room, g.n = nil, 0
	return err
}

// Write sends p, or keeps a copy of it while the connection is held.
func (g *Gather) Write(p []byte) (n int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.room == nil {
		return g.Conn.Write(p)
	}
	for len(p) > 0 {
		k := copy(g.room[g.n:], p)
		g.n, n, p = g.n+k, n+k, p[k:]
		if g.n == gathered {
			if err := g.send(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (g *Gather) send() error {
	n := g.n
	g.n = 0
	if n == 0 {
		return nil
	}
	_, err := g.Conn.Write(g.room[:n])
	return err
}
