package wire

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// FuzzPut: whatever headers a PUT has, it is read as an Accept that writes the same
// headers again, or refused with a code of ours.
func FuzzPut(f *testing.F) {
	h := http.Header{}
	setAccept(h, testAccept)
	f.Add(testValue.Chunk.String(), h.Get(HeaderSlot), h.Get(HeaderBallot), h.Get(HeaderEpoch), h.Get(HeaderUpload), h.Get(HeaderUploadIndex), h.Get(HeaderSize), int64(5))
	f.Add("", "", "", "", "", "", "", int64(-1))
	f.Fuzz(func(t *testing.T, chunk, slot, ballot, epoch, upload, index, size string, length int64) {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.URL.Path, r.ContentLength = PathChunks+chunk, length
		for k, v := range map[string]string{
			HeaderSlot: slot, HeaderBallot: ballot, HeaderEpoch: epoch,
			HeaderUpload: upload, HeaderUploadIndex: index, HeaderSize: size,
		} {
			r.Header.Set(k, v)
		}
		m, _, _, err := ReadPaxosRequest(r)
		if err != nil {
			if vstack.SentinelOf(err) == vstack.ErrInternal {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		acc := m.(message.Accept)
		if acc.Value.Size == 0 || acc.Value.Size > vstack.MaxChunkSize {
			t.Fatalf("accepted a value of %d bytes", acc.Value.Size)
		}
		again, err := NewPaxosRequest(t.Context(), "http://store", acc, 0, make([]byte, acc.Value.Size))
		if err != nil {
			t.Fatal(err)
		}
		if m2, _, _, err := ReadPaxosRequest(again); err != nil || m2 != m {
			t.Fatalf("read %+v, wrote and read %+v, %v", m, m2, err)
		}
	})
}

// FuzzEnvelope: a JSON body is a message that encodes and decodes to itself, or is
// refused with a code of ours.
func FuzzEnvelope(f *testing.F) {
	paths := []string{PathPrepare, PathAccept, PathSeal, PathInstall}
	for i, m := range []message.Message{
		message.Prepare{Slot: testSlot, Ballot: testBallot},
		testAccept,
		message.Seal{PG: 1, After: &testSlot},
		message.Install{PG: 1, Votes: []message.Vote{testVote}},
	} {
		r, err := NewPaxosRequest(f.Context(), "http://store", m, 0, nil)
		if err != nil {
			f.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		f.Add(uint8(i), body)
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		path := paths[int(which)%len(paths)]
		m, err := readEnvelope(path, bytes.NewReader(body))
		if err != nil {
			if vstack.SentinelOf(err) == vstack.ErrInternal {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		r, err := NewPaxosRequest(t.Context(), "http://store", m, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		m2, _, _, err := ReadPaxosRequest(r)
		if in, ok := m.(message.Install); ok && len(in.Votes) == 0 {
			in.Votes = nil // an empty list and none are one
			m = in
		}
		if err != nil || !reflect.DeepEqual(m, m2) {
			t.Fatalf("read %+v, wrote and read %+v, %v", m, m2, err)
		}
	})
}

// FuzzReply: an answer is read, or refused; it never panics, and a refusal always
// has a reason.
func FuzzReply(f *testing.F) {
	replies := []message.Reply{
		message.Accepted{Store: testStore, LSN: 1, Slot: testSlot, Ballot: testBallot, Value: testValue},
		message.Nack{Store: testStore, Reason: vstack.ErrBallotStale, Ballot: testBallot, Epoch: 2, Value: testValue},
		message.UploadPromise{Store: testStore, Votes: []message.Vote{testVote}},
		message.SlotState{Store: testStore},
	}
	for i, r := range replies {
		w := httptest.NewRecorder()
		WriteReply(w, r)
		f.Add(uint8(i), w.Code, w.Header().Get(HeaderStore), w.Header().Get(HeaderBallot), w.Header().Get(HeaderValue), w.Body.Bytes())
	}
	asked := []message.Message{
		message.Accept{}, message.Prepare{}, message.PrepareUpload{}, message.Seal{}, message.Install{}, message.Query{},
	}
	f.Fuzz(func(t *testing.T, which uint8, status int, store, ballot, value string, body []byte) {
		h := http.Header{}
		h.Set(HeaderStore, store)
		h.Set(HeaderBallot, ballot)
		h.Set(HeaderValue, value)
		h.Set(HeaderSlot, testSlot.String())
		h.Set(HeaderLSN, "1")
		resp := &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body))}
		r, err := ReadReply(resp, asked[int(which)%len(asked)])
		if (r == nil) == (err == nil) {
			t.Fatalf("reply %v and error %v", r, err)
		}
		if n, ok := r.(message.Nack); ok && n.Reason == nil {
			t.Fatal("a refusal without a reason")
		}
	})
}
