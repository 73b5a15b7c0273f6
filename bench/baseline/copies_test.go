package baseline

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestCopiesReadWhatTheyAcknowledged(t *testing.T) {
	c, err := newCopies(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.f.Close()
	do := func(method string, id vstack.ChunkID, body []byte) (int, []byte) {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequest(method, "/v1/chunks/"+id.String(), bytes.NewReader(body)))
		got, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, got
	}
	var chunks [3][]byte
	for i := range chunks {
		chunks[i] = make([]byte, vstack.ChunkSize)
		_, _ = rand.Read(chunks[i])
		if code, body := do(http.MethodPut, vstack.ChunkIDOf(chunks[i]), chunks[i]); code != http.StatusOK {
			t.Fatalf("PUT: %d %s", code, body)
		}
	}
	for i, want := range chunks {
		if code, got := do(http.MethodGet, vstack.ChunkIDOf(want), nil); code != http.StatusOK || !bytes.Equal(got, want) {
			t.Errorf("GET of chunk %d: %d, %d bytes", i, code, len(got))
		}
	}
	if code, _ := do(http.MethodPut, vstack.ChunkIDOf(chunks[0]), chunks[1]); code == http.StatusOK {
		t.Error("bytes of another chunk were acknowledged")
	}
	for block := range int64(vstack.ChunkSize / sealedBlock) {
		flip(t, c, copyLen+block*sealedBlock+block) // of the second chunk
		if code, _ := do(http.MethodGet, vstack.ChunkIDOf(chunks[1]), nil); code == http.StatusOK {
			t.Errorf("block %d is damaged on disk, and was served", block)
		}
		flip(t, c, copyLen+block*sealedBlock+block)
	}
}

func flip(t *testing.T, c *copies, at int64) {
	t.Helper()
	var b [1]byte
	if _, err := c.f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := c.f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}
