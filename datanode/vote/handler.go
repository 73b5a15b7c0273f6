package vote

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// hashStep is how much of a body is read between two steps of hashing it, so that
// hashing overlaps with receiving.
const hashStep = 256 << 10

// ServeHTTP answers every ChunkPaxos request: PUT of a chunk, POST /v1/paxos/… and
// GET /v1/paxos/slots/…. Only hosts and administrators of the cluster may vote.
func (v *Voter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	reply, kind, err := v.judge(w, r)
	if err != nil {
		// A refusal with the store's name tells the proposer that nothing took effect.
		reply = message.Nack{Store: v.cfg.Log.ID(), Reason: vstack.SentinelOf(err), Detail: err.Error()}
	}
	v.metrics.requests.WithLabelValues(kind).Inc()
	switch reply := reply.(type) {
	case message.Nack:
		v.metrics.refused.WithLabelValues(string(reply.Reason.Code())).Inc()
	case message.Accepted:
		if kind == "put" {
			v.metrics.accepted.Add(1)
			v.metrics.bytes.Add(float64(reply.Value.Size))
			v.metrics.seconds.Observe(time.Since(began).Seconds())
		}
	}
	wire.WriteReply(w, reply)
}

// Accepted is the number of chunks accepted by PUT since start.
func (v *Voter) Accepted() int64 { return v.metrics.accepted.Load() }

// judge reads a request and has it judged. Every error comes before the acceptor has
// seen the message, or says that the store has halted.
func (v *Voter) judge(w http.ResponseWriter, r *http.Request) (reply message.Reply, kind string, err error) {
	kind = kindOf(r)
	if r.Method != http.MethodGet {
		if err := serve.Handshaken(r); err != nil {
			return nil, kind, err
		}
		if _, err := identity.RequirePeer(r, identity.RoleHost, identity.RoleAdmin); err != nil {
			return nil, kind, err
		}
	}
	msg, echo, hasBytes, err := wire.ReadPaxosRequest(r)
	if err != nil {
		return nil, kind, err
	}
	if !hasBytes {
		reply, err = v.Do(r.Context(), msg, nil, echo)
		return reply, kind, err
	}
	accept, ok := msg.(message.Accept)
	if !ok {
		return nil, kind, fmt.Errorf("%T with bytes: %w", msg, vstack.ErrInvalid)
	}
	buf, err := v.receive(w, r, accept.Value)
	if err != nil {
		return nil, kind, fmt.Errorf("receive chunk %s: %w", accept.Value.Chunk.Short(), err)
	}
	defer buf.Release()
	reply, err = v.Do(r.Context(), msg, buf.Bytes, echo)
	return reply, kind, err
}

// receive reads and verifies the body: "verify SHA-256".
func (v *Voter) receive(w http.ResponseWriter, r *http.Request, value vstack.Value) (*serve.Buffer, error) {
	// What does not fit is told before its bytes travel, where the client waits for that.
	turn, cancel := context.WithTimeout(r.Context(), v.cfg.QueueTimeout)
	defer cancel()
	buf, err := v.cfg.Buffers.Get(turn, int(value.Size))
	if err != nil {
		return nil, err
	}
	if err := v.fill(w, r, buf.Bytes, value.Chunk); err != nil {
		buf.Release()
		return nil, err
	}
	return buf, nil
}

func (v *Voter) fill(w http.ResponseWriter, r *http.Request, p []byte, want vstack.ChunkID) error {
	// A sender slower than this would hold the buffer from others.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(v.cfg.BodyTimeout))
	hash := sha256.New()
	for off := 0; off < len(p); off += hashStep {
		step := p[off:min(off+hashStep, len(p))]
		n, err := io.ReadFull(r.Body, step)
		hash.Write(step[:n])
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%w: %d of %d bytes came", vstack.ErrTruncated, off+n, len(p))
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w: %d of %d bytes came within %s", vstack.ErrTimeout, off+n, len(p), v.cfg.BodyTimeout)
		case err != nil:
			return fmt.Errorf("%w: %d of %d bytes came: %v", vstack.ErrTruncated, off+n, len(p), err)
		}
	}
	var over [1]byte
	if n, _ := io.ReadFull(r.Body, over[:]); n > 0 {
		return fmt.Errorf("%w: more than the stated %d bytes came", vstack.ErrTooLarge, len(p))
	}
	if got := vstack.ChunkID(hash.Sum(nil)); got != want {
		return fmt.Errorf("%w: %d bytes hash to %s", vstack.ErrHashMismatch, len(p), got)
	}
	return nil
}

// kindOf is the metrics' label; a bounded set, whatever a client asks for.
func kindOf(r *http.Request) string {
	switch {
	case r.Method == http.MethodPut:
		return "put"
	case r.Method == http.MethodGet:
		return "query"
	case r.URL.Path == wire.PathPrepare:
		return "prepare"
	case r.URL.Path == wire.PathAccept:
		return "accept"
	case r.URL.Path == wire.PathSeal:
		return "seal"
	case r.URL.Path == wire.PathInstall:
		return "install"
	}
	return "other"
}
