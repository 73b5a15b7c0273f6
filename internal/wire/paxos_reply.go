package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// WriteReply answers a request with an acceptor's reply: Accepted as 200 without a
// body, Nack as problem+json, the others as JSON. All carry Vstack-Store.
func WriteReply(w http.ResponseWriter, reply message.Reply) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch r := reply.(type) {
	case message.Accepted:
		h.Set(HeaderStore, r.Store.String())
		h.Set(HeaderLSN, strconv.FormatUint(uint64(r.LSN), 10))
		h.Set(HeaderSlot, r.Slot.String())
		h.Set(HeaderBallot, r.Ballot.String())
		h.Set(HeaderValue, formatValue(r.Value))
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	case message.Nack:
		writeNack(w, r)
	case message.Promise:
		writePaxosJSON(w, r.Store, r)
	case message.UploadPromise:
		writePaxosJSON(w, r.Store, r)
	case message.Sealed:
		writePaxosJSON(w, r.Store, r)
	case message.Installed:
		writePaxosJSON(w, r.Store, r)
	case message.SlotState:
		writePaxosJSON(w, r.Store, r)
	default:
		WriteError(w, fmt.Errorf("%w: reply %T has no form on the wire", vstack.ErrInternal, reply))
	}
}

func writeNack(w http.ResponseWriter, n message.Nack) {
	h := w.Header()
	h.Set(HeaderStore, n.Store.String())
	if !n.Ballot.IsZero() {
		h.Set(HeaderBallot, n.Ballot.String())
	}
	if n.Epoch != 0 {
		h.Set(HeaderEpoch, strconv.FormatUint(uint64(n.Epoch), 10))
	}
	if !n.Value.IsZero() {
		h.Set(HeaderValue, formatValue(n.Value))
	}
	if n.Reason == nil {
		n.Reason = vstack.ErrInternal
	}
	WriteError(w, refusal{n})
}

// refusal is a Nack as an error whose text is the bare detail: the reader of the
// answer adds the store and the reason again.
type refusal struct{ message.Nack }

func (r refusal) Error() string { return r.Detail }
func (r refusal) Unwrap() error { return r.Reason }

func writePaxosJSON(w http.ResponseWriter, store vstack.StoreID, v any) {
	w.Header().Set(HeaderStore, store.String())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = json.NewEncoder(w).Encode(v) // the peer may be gone; there is nobody else to tell
}

// ReadReply reads the answer to m. A refusal by the acceptor is a Nack; anything else
// that is not its answer (a proxy's page, a handshake refused, a body cut short) is
// an error, and whether the message took effect is unknown then. The caller closes
// the body.
func ReadReply(resp *http.Response, m message.Message) (message.Reply, error) {
	if resp.StatusCode >= http.StatusBadRequest {
		return readNack(resp)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answer to %T: %w: status %d", m, vstack.ErrInternal, resp.StatusCode)
	}
	var reply message.Reply
	var err error
	switch m.(type) {
	case message.Accept:
		reply, err = readAccepted(resp.Header)
	case message.Prepare:
		reply, err = decodeReply[message.Promise](resp.Body)
	case message.PrepareUpload:
		reply, err = decodeReply[message.UploadPromise](resp.Body)
	case message.Seal:
		reply, err = decodeReply[message.Sealed](resp.Body)
	case message.Install:
		reply, err = decodeReply[message.Installed](resp.Body)
	case message.Query:
		reply, err = decodeReply[message.SlotState](resp.Body)
	default:
		return nil, fmt.Errorf("%T: %w: not a message of the data plane", m, vstack.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("answer to %T: %w", m, err)
	}
	return reply, nil
}

func decodeReply[R message.Reply](body io.Reader) (message.Reply, error) {
	var r R
	if err := decodeBounded(body, maxPaxosReply, &r); err != nil {
		return nil, err
	}
	return r, nil
}

func readAccepted(h http.Header) (r message.Accepted, err error) {
	if r.Store, err = vstack.ParseStoreID(h.Get(HeaderStore)); err != nil {
		return r, fmt.Errorf("header %s: %w", HeaderStore, err)
	}
	lsn, err := headerUint(h, HeaderLSN, 64)
	if err != nil {
		return r, err
	}
	r.LSN = vstack.LSN(lsn)
	if r.Slot, err = vstack.ParseSlot(h.Get(HeaderSlot)); err != nil {
		return r, fmt.Errorf("header %s: %w", HeaderSlot, err)
	}
	if r.Ballot, err = vstack.ParseBallot(h.Get(HeaderBallot)); err != nil {
		return r, fmt.Errorf("header %s: %w", HeaderBallot, err)
	}
	if r.Value, err = parseValue(h.Get(HeaderValue)); err != nil {
		return r, fmt.Errorf("header %s: %w", HeaderValue, err)
	}
	return r, nil
}

// readNack reads a refusal. Without a valid Vstack-Store no acceptor wrote it.
func readNack(resp *http.Response) (message.Reply, error) {
	store, storeErr := vstack.ParseStoreID(resp.Header.Get(HeaderStore))
	err := ReadError(resp)
	if storeErr != nil {
		return nil, err
	}
	n := message.Nack{Store: store, Reason: vstack.SentinelOf(err)}
	if e, ok := err.(*RemoteError); ok {
		n.Detail = e.Detail
	}
	if s := resp.Header.Get(HeaderBallot); s != "" {
		if n.Ballot, err = vstack.ParseBallot(s); err != nil {
			return nil, fmt.Errorf("refusal of store %s: header %s: %w", store, HeaderBallot, err)
		}
	}
	if resp.Header.Get(HeaderEpoch) != "" {
		epoch, err := headerUint(resp.Header, HeaderEpoch, 64)
		if err != nil {
			return nil, fmt.Errorf("refusal of store %s: %w", store, err)
		}
		n.Epoch = vstack.Epoch(epoch)
	}
	if s := resp.Header.Get(HeaderValue); s != "" {
		if n.Value, err = parseValue(s); err != nil {
			return nil, fmt.Errorf("refusal of store %s: header %s: %w", store, HeaderValue, err)
		}
	}
	return n, nil
}

// formatValue is CHUNK:SIZE.
func formatValue(v vstack.Value) string {
	return v.Chunk.String() + ":" + strconv.FormatUint(uint64(v.Size), 10)
}

func parseValue(s string) (v vstack.Value, err error) {
	chunk, size, ok := strings.Cut(s, ":")
	if !ok {
		return v, fmt.Errorf("value of %d characters: %w: want CHUNK:SIZE", len(s), vstack.ErrInvalid)
	}
	if v.Chunk, err = vstack.ParseChunkID(chunk); err != nil {
		return v, err
	}
	n, err := strconv.ParseUint(size, 10, 32)
	if err != nil || n == 0 || n > vstack.MaxChunkSize {
		return v, fmt.Errorf("value's size: %w: want 1 to %d bytes", vstack.ErrInvalid, vstack.MaxChunkSize)
	}
	v.Size = uint32(n)
	return v, nil
}
