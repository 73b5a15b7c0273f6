package uploader

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// TestWhatAKeyMayDoAtAnUploader: a key that is shown counts, also where nobody would be asked.
func TestWhatAKeyMayDoAtAnUploader(t *testing.T) {
	c := newCluster()
	of := map[vstack.Scope]string{}
	for _, s := range []vstack.Scope{vstack.ScopeRead, vstack.ScopeUpload, vstack.ScopeManage, vstack.ScopeAdmin} {
		of[s] = vstack.NewAPIKey()
		id, _ := vstack.APIKeyOf("Bearer " + of[s])
		c.keys = append(c.keys, vstack.APIKey{Name: string(s), ID: id, Scopes: []vstack.Scope{s}, Films: 2})
	}
	other := vstack.NewAPIKey()
	id, _ := vstack.APIKeyOf("Bearer " + other)
	c.keys = append(c.keys, vstack.APIKey{Name: "other", ID: id, Scopes: []vstack.Scope{vstack.ScopeUpload}})
	reached, open := stuckAfter(t, c, 1)
	h := startHost(t, c, t.TempDir(), func(cfg *Config) { cfg.Open = true })
	file := clip(t, "h264.mp4")
	send := func(key, method, path, kind string, b io.Reader) (int, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, h.base+path, b)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := h.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, out
	}
	upload := func(key string) (int, []byte) {
		b, kind := body(t, file)
		return send(key, http.MethodPost, "/upload", kind, b)
	}
	for s, want := range map[vstack.Scope]int{vstack.ScopeRead: http.StatusForbidden, vstack.ScopeManage: http.StatusForbidden} {
		if status, out := upload(of[s]); status != want {
			t.Errorf("a key to %s uploads: %d %s", s, status, out)
		}
	}
	if status, out := upload(vstack.NewAPIKey()); status != http.StatusUnauthorized {
		t.Errorf("a key that nobody made uploads: %d %s", status, out)
	}
	status, out := upload(of[vstack.ScopeUpload])
	if status != http.StatusAccepted {
		t.Fatalf("a key to upload: %d %s", status, out)
	}
	<-reached
	job := "/v1/jobs/" + string(out[bytes.Index(out, []byte(`"upload_id":"`))+13:][:36])
	upload(of[vstack.ScopeUpload])
	if status, out := upload(of[vstack.ScopeUpload]); status != http.StatusForbidden || !bytes.Contains(out, []byte("QUOTA_EXCEEDED")) {
		t.Errorf("the third of two films: %d %s", status, out)
	}
	// Jobs of films that the catalog does not know as public are seen by who may read.
	for s, sees := range map[vstack.Scope]bool{vstack.ScopeRead: true, vstack.ScopeAdmin: true, vstack.ScopeUpload: false, vstack.ScopeManage: false} {
		if status, out := send(of[s], http.MethodGet, "/v1/jobs", "", nil); status != http.StatusOK || bytes.Contains(out, []byte(job[9:])) != sees {
			t.Errorf("a key to %s is shown %d %s", s, status, out)
		}
	}
	for name, key := range map[string]string{"of another": other, "to read": of[vstack.ScopeRead]} {
		if status, out := send(key, http.MethodDelete, job, "", nil); status != http.StatusForbidden {
			t.Errorf("a key %s cancels: %d %s", name, status, out)
		}
	}
	open() // what is under way has to end for a job to
	if status, out := send(of[vstack.ScopeUpload], http.MethodDelete, job, "", nil); status != http.StatusOK {
		t.Errorf("the key that it came with cancels: %d %s", status, out)
	}
}

// TestARemovedKeyIsGoodForNoTwoSeconds: where nothing is uploaded the catalog's word counts for a
// moment, and for no longer.
func TestARemovedKeyIsGoodForNoTwoSeconds(t *testing.T) {
	c := newCluster()
	key := vstack.NewAPIKey()
	id, _ := vstack.APIKeyOf("Bearer " + key)
	c.keys = []vstack.APIKey{{Name: "reader", ID: id, Scopes: []vstack.Scope{vstack.ScopeRead}, Rate: 1000}}
	h := startHost(t, c, t.TempDir(), nil)
	ask := func() int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+"/v1/jobs", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := h.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for range 50 {
		if status := ask(); status != http.StatusOK {
			t.Fatalf("a good key: %d", status)
		}
	}
	c.mu.Lock()
	if c.asked > 10 {
		t.Errorf("the catalog was asked %d times about 50 requests", c.asked)
	}
	c.keys = nil
	c.mu.Unlock()
	began := time.Now()
	waitFor(t, "the key to be refused", func() bool { return ask() == http.StatusUnauthorized })
	took := time.Since(began)
	if t.Logf("refused after %s", took); took > 10*time.Second { // one where the machine has time
		t.Errorf("refused after %s", took)
	}
}
