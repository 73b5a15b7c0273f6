package metastore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/stranger"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/bounds"
)

// TestOneThatTakesNothingStopsNobody has a stranger ask for a large video's manifest and places
// more often than there is memory for, and take nothing of the answers. At cc9200c each of them
// was made, and held for two minutes.
func TestOneThatTakesNothingStopsNobody(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.leader()
	c.register()
	cl := c.client()
	video, _, err := publish(t.Context(), cl, "large", 4000)
	if err != nil {
		t.Fatal(err)
	}
	m := c.members[0]
	anonymous := c.admin.ClientTLS()
	anonymous.Certificates, anonymous.GetClientCertificate = nil, nil
	deaf, err := stranger.DialDeaf(t.Context(), m.api.Addr().String(), anonymous)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	const asks = 200
	for i := range asks {
		if err := deaf.Ask(fmt.Sprintf("/v1/videos/%s/%s", video.ID, []string{"manifest", "placement"}[i%2])); err != nil {
			t.Fatal(err)
		}
	}
	// The bound is on the whole; what a busy machine takes for a handshake, or to make the answer,
	// is none of it.
	honest, err := metaclient.New(metaclient.Config{Endpoints: []string{m.api.Addr().String()}, TLS: c.admin.ClientTLS(),
		Timeout: time.Minute, AttemptTimeout: admission.Patience / 2, DialTimeout: admission.Patience / 4})
	if err != nil {
		t.Fatal(err)
	}
	defer honest.Close()
	// As many as have memory are made, and wait for a reader that does not come; the others are
	// refused. All that is work, which a busy machine may do for half a minute: by then the first
	// of them are given up.
	c.eventually("an answer to each of the stranger's questions", func() bool {
		begun, reset := deaf.Answered()
		return begun+reset >= asks
	})
	if _, reset := deaf.Answered(); m.bounds.Used() < bounds.MaxAnswers/2 && reset == 0 {
		t.Fatalf("the stranger holds %d bytes only", m.bounds.Used())
	}
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), admission.Patience/2)
		_, err := honest.Manifest(ctx, video.ID)
		cancel()
		if err != nil {
			t.Fatalf("an honest reader, while %d bytes of answers are held: %v", m.bounds.Used(), err)
		}
		if used := m.bounds.Used(); used > bounds.MaxAnswers {
			t.Fatalf("%d bytes of answers, at most %d", used, bounds.MaxAnswers)
		}
	}
	title := "still led"
	if _, err := cl.PatchVideo(t.Context(), video.ID, wire.VideoPatch{Title: &title}); err != nil {
		t.Error(err)
	}
}
