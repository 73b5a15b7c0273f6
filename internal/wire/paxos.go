package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Paths of the data plane's consensus messages. An Accept with bytes is
// PUT PathChunks + CHUNK, a Query is GET PathSlots + VIDEO/TRACK/SEQ.
const (
	PathChunks  = "/v1/chunks/"
	PathPrepare = "/v1/paxos/prepare" // Prepare and PrepareUpload
	PathAccept  = "/v1/paxos/accept"  // Accept without bytes
	PathSeal    = "/v1/paxos/seal"
	PathInstall = "/v1/paxos/install"
	PathSlots   = "/v1/paxos/slots/"
)

const (
	// maxPaxosBody bounds the JSON of a request; an Install page of MaxPage votes fits.
	maxPaxosBody = 2 << 20
	// maxPaxosReply bounds the JSON of an answer; a page of MaxPage votes fits.
	maxPaxosReply = 4 << 20
)

// PaxosRequest is the JSON body of a message that is not a PUT. Which fields count
// depends on the path; Slot tells Prepare from PrepareUpload.
type PaxosRequest struct {
	Slot        *vstack.Slot    `json:"slot,omitempty"`
	Epoch       vstack.Epoch    `json:"epoch,omitempty"`
	Upload      vstack.UploadID `json:"upload,omitzero"`
	UploadIndex uint64          `json:"upload_index,omitempty"`
	Ballot      vstack.Ballot   `json:"ballot,omitzero"`
	Value       vstack.Value    `json:"value,omitzero"`
	PG          vstack.PG       `json:"pg,omitempty"`
	After       *vstack.Slot    `json:"after,omitempty"`
	Limit       int             `json:"limit,omitempty"`
	Attempt     uint32          `json:"attempt,omitempty"`
	First       bool            `json:"first,omitempty"`
	Final       bool            `json:"final,omitempty"`
	Votes       []message.Vote  `json:"votes,omitempty"`
}

// NewPaxosRequest makes the HTTP request of a message to the store at base
// ("https://HOST:PORT"). echo is the highest LSN that this process ever saw that
// store acknowledge. bytes are the chunk's, for an Accept sent WithBytes; nil
// otherwise.
func NewPaxosRequest(ctx context.Context, base string, m message.Message, echo vstack.LSN, chunk []byte) (*http.Request, error) {
	method, path, body, mediaType := http.MethodPost, "", chunk, "application/json"
	if acc, ok := m.(message.Accept); ok && chunk != nil {
		method, path, mediaType = http.MethodPut, PathChunks+acc.Value.Chunk.String(), "application/octet-stream"
	} else if q, ok := m.(message.Query); ok {
		method, path = http.MethodGet, PathSlots+q.Slot.String()
	} else {
		var envelope PaxosRequest
		var err error
		if path, envelope, err = envelopeOf(m); err != nil {
			return nil, err
		}
		if body, err = json.Marshal(envelope); err != nil {
			return nil, fmt.Errorf("encode %T: %w", m, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request %s %s%s: %w", method, base, path, err)
	}
	if method == http.MethodGet {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	} else {
		req.Header.Set("Content-Type", mediaType)
	}
	if acc, ok := m.(message.Accept); ok && method == http.MethodPut {
		setAccept(req.Header, acc)
	}
	if echo > 0 {
		req.Header.Set(HeaderEcho, strconv.FormatUint(uint64(echo), 10))
	}
	return req, nil
}

func envelopeOf(m message.Message) (string, PaxosRequest, error) {
	switch m := m.(type) {
	case message.Prepare:
		return PathPrepare, PaxosRequest{Slot: &m.Slot, Epoch: m.Epoch, Upload: m.Upload, UploadIndex: m.UploadIndex, Ballot: m.Ballot}, nil
	case message.PrepareUpload:
		return PathPrepare, PaxosRequest{Upload: m.Upload, UploadIndex: m.UploadIndex, Ballot: m.Ballot, After: m.After, Limit: m.Limit}, nil
	case message.Accept:
		return PathAccept, PaxosRequest{Slot: &m.Slot, Epoch: m.Epoch, Upload: m.Upload, UploadIndex: m.UploadIndex, Ballot: m.Ballot, Value: m.Value}, nil
	case message.Seal:
		return PathSeal, PaxosRequest{PG: m.PG, Epoch: m.Epoch, After: m.After, Limit: m.Limit}, nil
	case message.Install:
		return PathInstall, PaxosRequest{PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt, First: m.First, Final: m.Final, Votes: m.Votes}, nil
	}
	return "", PaxosRequest{}, fmt.Errorf("encode %T: %w: not a message of the data plane", m, vstack.ErrInvalid)
}

// setAccept writes the headers of a PUT. The chunk's name is in the path.
func setAccept(h http.Header, m message.Accept) {
	h.Set(HeaderSlot, m.Slot.String())
	h.Set(HeaderBallot, m.Ballot.String())
	h.Set(HeaderEpoch, strconv.FormatUint(uint64(m.Epoch), 10))
	h.Set(HeaderUpload, m.Upload.String())
	h.Set(HeaderUploadIndex, strconv.FormatUint(m.UploadIndex, 10))
	h.Set(HeaderSize, strconv.FormatUint(uint64(m.Value.Size), 10))
}

// ReadPaxosRequest reads the message and the sender's echo from a request. Of a PUT
// it reads the headers only: the body, which the caller bounds by Value.Size, follows
// if hasBytes. Every error is one of vstack's.
func ReadPaxosRequest(r *http.Request) (m message.Message, echo vstack.LSN, hasBytes bool, err error) {
	if s := r.Header.Get(HeaderEcho); s != "" {
		n, err := headerUint(r.Header, HeaderEcho, 64)
		if err != nil {
			return nil, 0, false, err
		}
		echo = vstack.LSN(n)
	}
	path := r.URL.Path
	switch {
	case r.Method == http.MethodPut && strings.HasPrefix(path, PathChunks):
		m, err := readPut(r, strings.TrimPrefix(path, PathChunks))
		return m, echo, r.ContentLength != 0, err
	case r.Method == http.MethodGet && strings.HasPrefix(path, PathSlots):
		slot, err := vstack.ParseSlot(strings.TrimPrefix(path, PathSlots))
		if err != nil {
			return nil, 0, false, err
		}
		return message.Query{Slot: slot}, echo, false, nil
	case r.Method == http.MethodPost:
		m, err := readEnvelope(path, r.Body)
		return m, echo, false, err
	}
	return nil, 0, false, fmt.Errorf("%s %s: %w", r.Method, path, vstack.ErrNotFound)
}

// Leaves reads the leaf table that a PUT of a chunk of size bytes may bring along; nil
// without one.
func Leaves(h http.Header, size uint32) (vstack.LeafTable, error) {
	s := h.Get(HeaderLeaves)
	if s == "" {
		return nil, nil
	}
	t, err := vstack.ParseLeafTable(s, size)
	if err != nil {
		return nil, fmt.Errorf("header %s: %w", HeaderLeaves, err)
	}
	return t, nil
}

func readPut(r *http.Request, chunk string) (m message.Accept, err error) {
	if m.Value.Chunk, err = vstack.ParseChunkID(chunk); err != nil {
		return m, err
	}
	if m.Slot, err = vstack.ParseSlot(r.Header.Get(HeaderSlot)); err != nil {
		return m, fmt.Errorf("header %s: %w", HeaderSlot, err)
	}
	if m.Ballot, err = vstack.ParseBallot(r.Header.Get(HeaderBallot)); err != nil {
		return m, fmt.Errorf("header %s: %w", HeaderBallot, err)
	}
	if m.Upload, err = vstack.ParseUploadID(r.Header.Get(HeaderUpload)); err != nil {
		return m, fmt.Errorf("header %s: %w", HeaderUpload, err)
	}
	epoch, err := headerUint(r.Header, HeaderEpoch, 64)
	if err != nil {
		return m, err
	}
	m.Epoch = vstack.Epoch(epoch)
	if m.UploadIndex, err = headerUint(r.Header, HeaderUploadIndex, 64); err != nil {
		return m, err
	}
	size, err := putSize(r)
	if err != nil {
		return m, err
	}
	m.Value.Size = size
	return m, nil
}

// putSize is the value's size: HeaderSize, or the body's stated length where that is
// missing. The two must not differ.
func putSize(r *http.Request) (uint32, error) {
	n := r.ContentLength
	if r.Header.Get(HeaderSize) != "" {
		stated, err := headerUint(r.Header, HeaderSize, 32)
		if err != nil {
			return 0, err
		}
		if n > 0 && uint64(n) != stated {
			return 0, fmt.Errorf("%w: body of %d bytes, header %s says %d", vstack.ErrInvalid, n, HeaderSize, stated)
		}
		n = int64(stated)
	}
	switch {
	case n <= 0:
		return 0, fmt.Errorf("%w: neither Content-Length nor %s says the size", vstack.ErrInvalid, HeaderSize)
	case n > vstack.MaxChunkSize:
		return 0, fmt.Errorf("chunk of %d bytes: %w of %d", n, vstack.ErrTooLarge, vstack.MaxChunkSize)
	}
	return uint32(n), nil
}

func headerUint(h http.Header, name string, bits int) (uint64, error) {
	s := h.Get(name)
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("header %s: %w: %q is not a number of %d bits", name, vstack.ErrInvalid, s[:min(len(s), 32)], bits)
	}
	return n, nil
}

func readEnvelope(path string, body io.Reader) (message.Message, error) {
	var e PaxosRequest
	if err := decodeBounded(body, maxPaxosBody, &e); err != nil {
		return nil, fmt.Errorf("body of %s: %w", path, err)
	}
	if path == PathPrepare && e.Slot == nil {
		return message.PrepareUpload{Upload: e.Upload, UploadIndex: e.UploadIndex, Ballot: e.Ballot, After: e.After, Limit: e.Limit}, nil
	}
	if e.Slot == nil && (path == PathPrepare || path == PathAccept) {
		return nil, fmt.Errorf("body of %s: %w: no slot", path, vstack.ErrInvalid)
	}
	switch path {
	case PathPrepare:
		return message.Prepare{Slot: *e.Slot, Epoch: e.Epoch, Upload: e.Upload, UploadIndex: e.UploadIndex, Ballot: e.Ballot}, nil
	case PathAccept:
		return message.Accept{Slot: *e.Slot, Epoch: e.Epoch, Upload: e.Upload, UploadIndex: e.UploadIndex, Ballot: e.Ballot, Value: e.Value}, nil
	case PathSeal, PathInstall:
		if e.PG >= vstack.PlacementGroups {
			return nil, fmt.Errorf("body of %s: %w: placement group %d, want below %d", path, vstack.ErrInvalid, e.PG, vstack.PlacementGroups)
		}
		if path == PathSeal {
			return message.Seal{PG: e.PG, Epoch: e.Epoch, After: e.After, Limit: e.Limit}, nil
		}
		return message.Install{PG: e.PG, Epoch: e.Epoch, Attempt: e.Attempt, First: e.First, Final: e.Final, Votes: e.Votes}, nil
	}
	return nil, fmt.Errorf("POST %s: %w", path, vstack.ErrNotFound)
}

// decodeBounded reads exactly one JSON value of at most limit bytes.
func decodeBounded(r io.Reader, limit int64, v any) error {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return fmt.Errorf("read: %w: %v", vstack.ErrTruncated, err)
	case int64(len(b)) > limit:
		return fmt.Errorf("%w of %d bytes", vstack.ErrTooLarge, limit)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	return nil
}
