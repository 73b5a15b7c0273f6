package browser

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// golden is testdata/golden.json, which the player's tests read too.
type golden struct {
	Request string // hex
	Head    string
	Tail    string
	Signals string
}

var (
	sample        = wire.ServerTiming{RTT: 20125 * time.Microsecond, Cwnd: 65536, Sent: 1500, Lost: 3, Busy: 4, Disk: 410 * time.Microsecond, Decode: 7 * time.Millisecond}
	sampleRequest = Request{Chunk: vstack.ChunkIDOf([]byte("chunk")), Piece: vstack.Piece{Scheme: vstack.Scheme{K: 3, M: 2}, I: 4},
		Offset: 65536, Length: 131072, Leaves: true, Held: true, Urgency: 1}
	sampleHead = Head{Status: 206, Body: 131072, Size: 2 << 20, Leaves: 1024, RetryAfter: 1500 * time.Millisecond, Signals: sample}
)

func TestGoldenBytesAreThoseOfThePlayer(t *testing.T) {
	got := golden{
		Request: hex.EncodeToString(sampleRequest.Append(nil)), Head: hex.EncodeToString(sampleHead.Append(nil)),
		Tail: hex.EncodeToString(AppendTail(nil, sample)), Signals: hex.EncodeToString(AppendSignals(nil, sample)),
	}
	path := filepath.Join("testdata", "golden.json")
	if os.Getenv("UPDATE") != "" {
		b, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the format changed, which players that are out there do not know (-golden +now):\n%s", diff)
	}
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	if got, err := ParseRequest(sampleRequest.Append(nil)); err != nil || got != sampleRequest {
		t.Errorf("request %+v, %v", got, err)
	}
	if got, err := ParseHead(sampleHead.Append(nil)); err != nil || got != sampleHead {
		t.Errorf("head %+v, %v", got, err)
	}
	if got, err := ParseTail(AppendTail(nil, sample)); err != nil || got != sample {
		t.Errorf("tail %+v, %v", got, err)
	}
}

func TestRequestsThatAreNoneAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"another magic":         func(b []byte) []byte { b[0] = 'X'; return b },
		"a byte short":          func(b []byte) []byte { return b[:len(b)-1] },
		"a byte long":           func(b []byte) []byte { return append(b, 0) },
		"an unknown flag":       func(b []byte) []byte { b[4] |= 0x80; return b },
		"no such fragment":      func(b []byte) []byte { b[7] = 5; return b },
		"parity of nothing":     func(b []byte) []byte { b[5] = 0; return b },
		"an urgency too many":   func(b []byte) []byte { b[8] = 8; return b },
		"reserved bytes":        func(b []byte) []byte { b[11] = 1; return b },
		"beyond what chunks be": func(b []byte) []byte { b[15] = 0xff; return b },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseRequest(spoil(sampleRequest.Append(nil))); !errors.Is(err, vstack.ErrInvalid) && !errors.Is(err, vstack.ErrRangeInvalid) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzRequest holds that what is taken for a request is exactly what Append writes.
func FuzzRequest(f *testing.F) {
	f.Add(sampleRequest.Append(nil))
	f.Add(Request{}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			return
		}
		if again := r.Append(nil); string(again) != string(b) {
			t.Errorf("%x was read as %+v, which is %x", b, r, again)
		}
	})
}

// FuzzHead does the same for what a player of Go would read.
func FuzzHead(f *testing.F) {
	f.Add(sampleHead.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHead(b)
		if err != nil {
			return
		}
		if again := h.Append(nil); string(again) != string(b) {
			t.Errorf("%x was read as %+v, which is %x", b, h, again)
		}
	})
}
