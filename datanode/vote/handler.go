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

	"go.opentelemetry.io/otel/attribute"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// hashStep is how much of a body is read between two steps of hashing it, so that
// hashing overlaps with receiving.
const hashStep = 256 << 10

// ServeHTTP answers every ChunkPaxos request: PUT of a chunk, POST /v1/paxos/… and
// GET /v1/paxos/slots/…, to whoever the router let in.
func (v *Voter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	reply, kind, err := v.judge(w, r)
	v.metrics.requests.WithLabelValues(kind).Inc()
	if err != nil {
		v.Refuse(w, err)
		return
	}
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

// Refuse answers with an error in the store's name, which tells a proposer that nothing took
// effect.
func (v *Voter) Refuse(w http.ResponseWriter, err error) {
	reason := vstack.SentinelOf(err)
	v.metrics.refused.WithLabelValues(string(reason.Code())).Inc()
	wire.WriteReply(w, message.Nack{Store: v.cfg.Log.ID(), Reason: reason, Detail: err.Error()})
}

// Accepted is the number of chunks accepted by PUT since start.
func (v *Voter) Accepted() int64 { return v.metrics.accepted.Load() }

// judge reads a request and has it judged. Every error comes before the acceptor has
// seen the message, or says that the store has halted.
func (v *Voter) judge(w http.ResponseWriter, r *http.Request) (reply message.Reply, kind string, err error) {
	kind = kindOf(r)
	msg, echo, hasBytes, err := wire.ReadPaxosRequest(r)
	if err != nil {
		return nil, kind, err
	}
	by, known := identity.PeerOf(r.TLS)
	heard := v.cfg.Tap.Came(kind, by.ID, msg)
	defer func() { heard.Answered(reply, err) }()
	if known && by.Role == identity.RoleHost {
		if err := v.speaks(vstack.HostID(by.ID), msg); err != nil {
			return nil, kind, err
		}
	}
	if !hasBytes {
		reply, err = v.Do(r.Context(), msg, nil, echo)
		return reply, kind, err
	}
	accept, ok := msg.(message.Accept)
	if !ok {
		return nil, kind, fmt.Errorf("%T with bytes: %w", msg, vstack.ErrInvalid)
	}
	leaves, err := wire.Leaves(r.Header, accept.Value.Size)
	if err != nil {
		return nil, kind, err
	}
	_, span := tracing.Start(r.Context(), "receive chunk", attribute.Int64("bytes", int64(accept.Value.Size)))
	buf, err := v.receive(w, r, accept.Value)
	tracing.End(span, err)
	if err != nil {
		return nil, kind, fmt.Errorf("receive chunk %s: %w", accept.Value.Chunk.Short(), err)
	}
	defer buf.Release()
	reply, err = v.do(r.Context(), msg, &call{data: buf.Bytes, leaves: leaves}, echo)
	return reply, kind, err
}

// speaks holds a host to what is its own: the ballots of its own uploads, and the changes of
// epoch that it drives. The acceptor compares a ballot with its upload's owner. A ballot of
// a program from before proposers said whose they are is nobody's.
func (v *Voter) speaks(host vstack.HostID, msg message.Message) error {
	var as vstack.ProposerID
	switch m := msg.(type) {
	case message.Accept:
		as = m.Ballot.Proposer
	case message.Prepare:
		as = m.Ballot.Proposer
	case message.PrepareUpload:
		as = m.Ballot.Proposer
	case message.Seal:
		return v.cfg.Drives(host, m.PG)
	case message.Install:
		return v.cfg.Drives(host, m.PG)
	}
	if as.Owned() && !as.Of(host) {
		return fmt.Errorf("ballot of proposer %s: %w: it is not of host %q", as, vstack.ErrForbidden, host)
	}
	return nil
}

// receive reads and verifies the body: "verify SHA-256".
func (v *Voter) receive(w http.ResponseWriter, r *http.Request, value vstack.Value) (*serve.Buffer, error) {
	// What does not fit is told before its bytes travel, where the client waits for that.
	turn, cancel := context.WithTimeout(r.Context(), v.cfg.QueueTimeout)
	defer cancel()
	buf, err := v.cfg.Buffers.Get(turn, admission.KeyOf(r), int(value.Size))
	if err != nil {
		return nil, err
	}
	if err := v.fill(w, r, buf, value.Chunk); err != nil {
		buf.Release()
		return nil, err
	}
	return buf, nil
}

func (v *Voter) fill(w http.ResponseWriter, r *http.Request, buf *serve.Buffer, want vstack.ChunkID) error {
	// A sender slower than this would hold the buffer from others, and so does one that
	// stands still.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(v.cfg.BodyTimeout))
	watch := buf.Watch(func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	defer watch.Stop()
	p := buf.Bytes
	hash := sha256.New()
	for off := 0; off < len(p); off += hashStep {
		step := p[off:min(off+hashStep, len(p))]
		n, err := io.ReadFull(r.Body, step)
		hash.Write(step[:n])
		watch.Moved()
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
