package wire

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

func uuid(b byte) (u vstack.UUID) { u[0], u[15] = b, b; return u }

var (
	testSlot   = vstack.Slot{Video: vstack.VideoID(uuid(1)), Track: 3, Seq: 70_000}
	testValue  = vstack.Value{Chunk: vstack.ChunkIDOf([]byte("chunk")), Size: 5}
	testBallot = vstack.Ballot{Incarnation: 9, Round: 4, Proposer: vstack.ProposerID(uuid(2))}
	testStore  = vstack.StoreID(uuid(3))
	testUpload = vstack.UploadID(uuid(4))
	testVote   = message.Vote{Slot: testSlot, Upload: testUpload, Epoch: 6, Ballot: testBallot, Value: testValue}
	testAccept = message.Accept{Slot: testSlot, Epoch: 6, Upload: testUpload, UploadIndex: 77, Ballot: testBallot, Value: testValue}
)

// message sends a request through the codec of the client and reads it as a server.
func overHTTP(t *testing.T, m message.Message, echo vstack.LSN, chunk []byte) (got message.Message, gotEcho vstack.LSN, hasBytes bool, body []byte) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		if got, gotEcho, hasBytes, err = ReadPaxosRequest(r); err != nil {
			t.Errorf("read %T: %v", m, err)
		}
		body, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	req, err := NewPaxosRequest(t.Context(), srv.URL, m, echo, chunk)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return got, gotEcho, hasBytes, body
}

func TestMessagesSurviveTheWire(t *testing.T) {
	for name, m := range map[string]message.Message{
		"prepare":           message.Prepare{Slot: testSlot, Epoch: 6, Upload: testUpload, UploadIndex: 77, Ballot: testBallot},
		"ranged prepare":    message.PrepareUpload{Upload: testUpload, UploadIndex: 77, Ballot: testBallot},
		"ranged next page":  message.PrepareUpload{Upload: testUpload, UploadIndex: 77, Ballot: testBallot, After: &testSlot, Limit: 10},
		"bodiless accept":   testAccept,
		"seal":              message.Seal{PG: 127, Epoch: 6, After: &testSlot, Limit: 3},
		"install":           message.Install{PG: 5, Epoch: 7, Attempt: 2, First: true, Final: true, Votes: []message.Vote{testVote}},
		"query":             message.Query{Slot: testSlot},
		"zero ballot query": message.Prepare{Slot: testSlot},
	} {
		t.Run(name, func(t *testing.T) {
			got, echo, hasBytes, _ := overHTTP(t, m, 41, nil)
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("message changed (-sent +read):\n%s", diff)
			}
			if echo != 41 || hasBytes {
				t.Errorf("echo %d, bytes %v; want 41 and none", echo, hasBytes)
			}
		})
	}
}

func TestPutCarriesTheBytesAndTheAccept(t *testing.T) {
	got, echo, hasBytes, body := overHTTP(t, testAccept, 0, []byte("chunk"))
	if diff := cmp.Diff(message.Message(testAccept), got); diff != "" {
		t.Errorf("accept changed (-sent +read):\n%s", diff)
	}
	if echo != 0 || !hasBytes || string(body) != "chunk" {
		t.Errorf("echo %d, bytes %v %q; want 0 and the chunk", echo, hasBytes, body)
	}
}

func TestInstallOfAWholePageFitsTheBound(t *testing.T) {
	m := message.Install{PG: 5, Epoch: 1 << 62, Attempt: 1 << 31, Votes: make([]message.Vote, message.MaxPage)}
	for i := range m.Votes {
		v := testVote
		v.Slot.Track, v.Slot.Seq, v.Epoch = 65_535, 1<<32-1, 1<<62
		v.Ballot = vstack.Ballot{Incarnation: 1<<64 - 1, Round: 1<<32 - 1, Proposer: v.Ballot.Proposer}
		v.Value.Size = vstack.MaxChunkSize
		m.Votes[i] = v
	}
	got, _, _, _ := overHTTP(t, m, 0, nil)
	if diff := cmp.Diff(message.Message(m), got); diff != "" {
		t.Errorf("install changed (-sent +read):\n%s", diff)
	}
	page := message.UploadPromise{Store: testStore, Votes: m.Votes, Groups: make([]message.GroupEpoch, vstack.PlacementGroups)}
	if got := reply(t, page, message.PrepareUpload{}); !cmp.Equal(message.Reply(page), got) {
		t.Error("a full page of a ranged prepare's answer changed on the wire")
	}
}

// reply writes a reply as a server and reads it as the client that sent m.
func reply(t *testing.T, r message.Reply, m message.Message) message.Reply {
	t.Helper()
	w := httptest.NewRecorder()
	WriteReply(w, r)
	got, err := ReadReply(w.Result(), m)
	if err != nil {
		t.Fatalf("read %T: %v", r, err)
	}
	return got
}

func TestRepliesSurviveTheWire(t *testing.T) {
	votes := []message.Vote{testVote}
	for name, c := range map[string]struct {
		to    message.Message
		reply message.Reply
	}{
		"accepted":       {testAccept, message.Accepted{Store: testStore, LSN: 8, Slot: testSlot, Ballot: testBallot, Value: testValue}},
		"promise":        {message.Prepare{}, message.Promise{Store: testStore, LSN: 8, Slot: testSlot, Epoch: 6, Ballot: testBallot, Accepted: testBallot, Value: testValue}},
		"empty promise":  {message.Prepare{}, message.Promise{Store: testStore, LSN: 8, Slot: testSlot, Epoch: 6, Ballot: testBallot}},
		"ranged promise": {message.PrepareUpload{}, message.UploadPromise{Store: testStore, LSN: 8, Upload: testUpload, Ballot: testBallot, Groups: []message.GroupEpoch{{PG: 4, Epoch: 6}}, Votes: votes, More: true}},
		"sealed":         {message.Seal{}, message.Sealed{Store: testStore, LSN: 8, PG: 5, Epoch: 6, Votes: votes}},
		"installed":      {message.Install{}, message.Installed{Store: testStore, LSN: 8, PG: 5, Epoch: 6, Attempt: 2, Final: true}},
		"slot state":     {message.Query{}, message.SlotState{Store: testStore, LSN: 8, Slot: testSlot, Epoch: 6, Promised: testBallot, Accepted: testBallot, Value: testValue}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.reply, reply(t, c.reply, c.to)); diff != "" {
				t.Errorf("reply changed (-written +read):\n%s", diff)
			}
		})
	}
}

func TestEveryRefusalSurvivesTheWire(t *testing.T) {
	for _, reason := range vstack.AllErrors() {
		n := message.Nack{Store: testStore, Reason: reason, Detail: "why", Ballot: testBallot, Epoch: 6, Value: testValue}
		got, ok := reply(t, n, testAccept).(message.Nack)
		if !ok || got != n {
			t.Errorf("refusal %s: read %+v, want %+v", reason.Code(), got, n)
		}
		if !errors.Is(got.Err(), reason) {
			t.Errorf("refusal %s: %v does not unwrap to it", reason.Code(), got.Err())
		}
	}
}

func TestAnErrorThatNoAcceptorWroteIsNoRefusal(t *testing.T) {
	w := httptest.NewRecorder()
	WriteError(w, vstack.ErrUnauthenticated)
	if got, err := ReadReply(w.Result(), testAccept); got != nil || !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("read %v, %v; want UNAUTHENTICATED as an error", got, err)
	}
}

func TestMalformedRequestsAreRefusedWithACode(t *testing.T) {
	put := func(change func(*http.Request)) *http.Request {
		r, err := NewPaxosRequest(t.Context(), "http://store", testAccept, 0, []byte("chunk"))
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		return r
	}
	post := func(path, body string) *http.Request {
		return httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	}
	for name, c := range map[string]struct {
		req  *http.Request
		want error
	}{
		"no slot":               {put(func(r *http.Request) { r.Header.Del(HeaderSlot) }), vstack.ErrInvalid},
		"no ballot":             {put(func(r *http.Request) { r.Header.Del(HeaderBallot) }), vstack.ErrInvalid},
		"no upload":             {put(func(r *http.Request) { r.Header.Del(HeaderUpload) }), vstack.ErrInvalid},
		"no epoch":              {put(func(r *http.Request) { r.Header.Del(HeaderEpoch) }), vstack.ErrInvalid},
		"no upload index":       {put(func(r *http.Request) { r.Header.Del(HeaderUploadIndex) }), vstack.ErrInvalid},
		"bad echo":              {put(func(r *http.Request) { r.Header.Set(HeaderEcho, "-1") }), vstack.ErrInvalid},
		"chunk is not a hash":   {put(func(r *http.Request) { r.URL.Path = PathChunks + "../../etc" }), vstack.ErrInvalid},
		"size against body":     {put(func(r *http.Request) { r.Header.Set(HeaderSize, "6") }), vstack.ErrInvalid},
		"no size at all":        {put(func(r *http.Request) { r.Header.Del(HeaderSize); r.ContentLength = -1 }), vstack.ErrInvalid},
		"too large":             {put(func(r *http.Request) { r.Header.Del(HeaderSize); r.ContentLength = vstack.MaxChunkSize + 1 }), vstack.ErrTooLarge},
		"not JSON":              {post(PathPrepare, "{"), vstack.ErrInvalid},
		"accept without slot":   {post(PathAccept, "{}"), vstack.ErrInvalid},
		"seal of no such group": {post(PathSeal, `{"pg":128}`), vstack.ErrInvalid},
		"no such path":          {post("/v1/paxos/other", "{}"), vstack.ErrNotFound},
		"oversize body":         {post(PathInstall, strings.Repeat(" ", maxPaxosBody+1)), vstack.ErrTooLarge},
		"query of half a slot":  {httptest.NewRequest(http.MethodGet, PathSlots+testSlot.Video.String()+"/1", nil), vstack.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, _, err := ReadPaxosRequest(c.req)
			if !errors.Is(err, c.want) {
				t.Errorf("read %+v, %v; want %v", m, err, c.want)
			}
		})
	}
}

func TestTornRepliesAreErrors(t *testing.T) {
	w := httptest.NewRecorder()
	WriteReply(w, message.Promise{Store: testStore, Ballot: testBallot})
	whole := w.Body.Bytes()
	for n := range len(whole) - 1 { // the last byte is the newline
		resp := &http.Response{StatusCode: http.StatusOK, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(whole[:n]))}
		if r, err := ReadReply(resp, message.Prepare{}); err == nil {
			t.Fatalf("%d of %d bytes read as %+v", n, len(whole), r)
		}
	}
}
