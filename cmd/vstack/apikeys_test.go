package main

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/stranger/crowd"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// keyGone is how long a removed API key may be taken.
const keyGone = 2 * time.Second

// TestAProgramHasAKeyUntilItIsRemoved: it uploads with it, deletes what it brought, is counted and
// named, and after its removal no member and no uploader takes it.
func TestAProgramHasAKeyUntilItIsRemoved(t *testing.T) {
	s := newScenario(t)
	var made wire.APIKeyReply
	s.vstackJSON(&made, "apikey", "new", "publisher", "--scopes", "upload,manage,read", "--films", "5", "--bytes", "1GiB", "--rate", "1000")
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", clip(t, "4", "1"), "--ticket", made.Key, "--visibility", "private")
	var keys wire.List[vstack.APIKey]
	s.vstackJSON(&keys, "apikey", "ls")
	if len(keys.Items) != 1 || keys.Items[0].UsedFilms != 1 || keys.Items[0].UsedBytes == 0 {
		t.Errorf("after an upload: %+v", keys.Items)
	}
	id, err := identity.LoadRoots(filepath.Join(s.lab.Client, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	client := crowd.Client(t, id.ClientTLS(), "HTTP/2.0")
	ask := func(method, url string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+made.Key)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	var asked []string
	for _, h := range s.lab.Hosts {
		self, _ := h.Config.Self()
		asked = append(asked, "https://"+self.API+"/v1/videos/"+jobs.Items[0].Video.String(), "https://"+h.Config.Ingest.Addr+"/v1/jobs")
	}
	for _, url := range asked {
		s.until(url+" to take the key", func() bool { return ask(http.MethodGet, url) == http.StatusOK })
	}
	s.vstackJSON(nil, "apikey", "rm", "publisher")
	removed := time.Now()
	for _, url := range asked {
		s.until(url+" to refuse the key", func() bool {
			at := time.Since(removed) // what an answer takes is the machine's
			status := ask(http.MethodGet, url)
			if status == http.StatusOK && at > keyGone {
				t.Errorf("%s takes it %s after its removal", url, at)
			}
			return status == http.StatusUnauthorized
		})
		s.step("%s refuses it %.2f s after its removal", url, time.Since(removed).Seconds())
	}
	var events wire.List[vstack.Event]
	s.vstackJSON(&events, "events")
	found := false
	for _, e := range events.Items {
		found = found || e.Of == "apikey:publisher"
	}
	if !found {
		t.Errorf("no event names the key: %+v", events.Items)
	}
}
