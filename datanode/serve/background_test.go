package serve

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/wire"
)

// TestBackgroundWaitsForClientsAndNotForEver: it goes as soon as the last client has, and after
// the bound where clients never end, so that repair never stops.
func TestBackgroundWaitsForClientsAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turn turns
		took := func() (time.Duration, bool) {
			began := time.Now()
			waited := turn.after(t.Context(), time.Second)
			return time.Since(began), waited
		}
		if d, waited := took(); d != 0 || waited {
			t.Errorf("without clients it waited %v", d)
		}
		turn.begin()
		turn.begin()
		if d, waited := took(); d != time.Second || !waited {
			t.Errorf("beside clients that never end it waited %v", d)
		}
		for i := range 2 {
			time.AfterFunc(time.Duration(i+1)*100*time.Millisecond, turn.end)
		}
		if d, _ := took(); d != 200*time.Millisecond {
			t.Errorf("it waited %v, and the last client went after 200 ms", d)
		}
		turn.begin()
		turn.end()
		if d, waited := took(); d != 0 || waited {
			t.Errorf("after all clients it waited %v", d)
		}
	})
}

// TestRepairIsServedAfterClients: a read of the background class does not come to the disk
// while a client's is there, and does not count in the figure that clients are served by.
func TestRepairIsServedAfterClients(t *testing.T) {
	r := newRig(t, func(_ *Config, rc *ReaderConfig) { rc.BackgroundWait = time.Minute })
	client, data := r.store.put(1000)
	repair, other := r.store.put(2000)
	c := r.client1(t, "HTTP/2.0", r.client.ClientTLS())
	low := map[string]string{"Priority": wire.PriorityBackground}
	if resp, body := r.get(t, c, "GET", "/v1/chunks/"+repair.String(), low); resp.StatusCode != 200 || !bytes.Equal(body, other) {
		t.Fatalf("alone: %d, %d bytes", resp.StatusCode, len(body))
	}
	if p99 := r.reader.cfg.Latency.Quantile(time.Now(), 0.99); p99 != 0 {
		t.Errorf("repair counts as a client: p99 %v", p99)
	}
	release := make(chan struct{})
	r.store.hold(release)
	before := r.store.waiting()
	type answer struct {
		who  string
		body []byte
	}
	ended := make(chan answer, 2)
	go func() {
		_, body := r.get(t, c, "GET", "/v1/chunks/"+client.String(), nil)
		ended <- answer{"client", body}
	}()
	waitFor(t, func() bool { return r.store.waiting() == before+1 })
	go func() {
		_, body := r.get(t, c, "GET", "/v1/chunks/"+repair.String(), low)
		ended <- answer{"repair", body}
	}()
	waitFor(t, func() bool {
		r.reader.turns.mu.Lock()
		defer r.reader.turns.mu.Unlock()
		return r.reader.turns.behind == 1
	})
	if n := r.store.waiting() - before; n != 1 {
		t.Errorf("%d reads at the disk beside a client's", n)
	}
	close(release)
	for range 2 { // whose answer is seen first is the machine's to say
		if a := <-ended; !bytes.Equal(a.body, map[string][]byte{"client": data, "repair": other}[a.who]) {
			t.Errorf("the %s got %d other bytes", a.who, len(a.body))
		}
	}
}
