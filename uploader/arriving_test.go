package uploader

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// listed are the jobs that who has a key is shown; "" is the host's own client.
func (h *host) listed(t *testing.T, key string) (jobs []wire.Job, raw string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+"/v1/jobs", nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct{ Items []json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	for _, b := range list.Items {
		var j wire.Job
		if err := json.Unmarshal(b, &j); err != nil {
			t.Fatal(err)
		}
		jobs, raw = append(jobs, j), raw+string(b)
	}
	return jobs, raw
}

// TestWhatArrivesIsListed shows two files of which parts are there, one by tus and one in one
// body, before they are jobs, to those who see all jobs and to nobody else.
func TestWhatArrivesIsListed(t *testing.T) {
	c := newCluster()
	reader, sender := vstack.NewAPIKey(), vstack.NewAPIKey()
	for key, scope := range map[string]vstack.Scope{reader: vstack.ScopeRead, sender: vstack.ScopeUpload} {
		id, _ := vstack.APIKeyOf("Bearer " + key)
		c.keys = append(c.keys, vstack.APIKey{Name: string(scope), ID: id, Scopes: []vstack.Scope{scope}, Rate: 1000})
	}
	dir := t.TempDir()
	h := startEarly(t, c, dir, 1<<20)
	data := forward(t, "forward.mp4")
	path, at := begunUpload(t, c, h, data)
	half := h.sentHalf(t, c, data)

	jobs, raw := h.listed(t, reader)
	if len(jobs) != 2 {
		t.Fatalf("%d jobs: %s", len(jobs), raw)
	}
	byTus, inBody := jobs[1], jobs[0] // newest first
	if byTus.State != wire.JobReceiving || byTus.Title != "film" || byTus.Source.Size != int64(len(data)) || byTus.Received != int64(at) || byTus.Chunks < 3 {
		t.Errorf("by tus: %+v, %d of %d bytes are there", byTus, at, len(data))
	}
	if inBody.State != wire.JobReceiving || inBody.Title != "forward" || inBody.Received < 1<<20 || inBody.Received > int64(len(data)/2) {
		t.Errorf("in one body: %+v", inBody)
	}
	if id := strings.TrimPrefix(path, "/files/"); strings.Contains(raw, id) || byTus.ID == inBody.ID || !byTus.Upload.IsZero() {
		t.Errorf("a part's name is its client's secret: %s", raw)
	}
	if jobs, raw := h.listed(t, sender); len(jobs) != 0 {
		t.Errorf("who may only upload is shown %s", raw)
	}

	id := h.accepted(t, path, at, data[at:])
	if _, err := half.part.Write(data[len(data)/2:]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(half.form.Close(), half.body.Close()); err != nil {
		t.Fatal(err)
	}
	<-half.answered
	h.finished(t, id, wire.JobPublished)
	jobs, raw = h.listed(t, reader)
	for _, j := range jobs {
		if j.State == wire.JobReceiving || j.Received != 0 {
			t.Errorf("it has arrived: %s", raw)
		}
	}
	if len(jobs) != 2 {
		t.Errorf("%d jobs: %s", len(jobs), raw)
	}
}
