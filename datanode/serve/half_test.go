package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/vstack"
)

// A header that is never sent to its end kept its connection, and 128 streams of it, for ever.
func TestAConnectionWithHalfAHeaderIsClosed(t *testing.T) {
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.IdleTimeout = time.Second })
	cfg := r.client.ClientTLS()
	cfg.NextProtos = []string{http3.NextProtoH3}
	cfg.ServerName = "127.0.0.1"
	conn, err := quic.DialAddr(t.Context(), r.endpoint.Addr(), cfg, &quic.Config{KeepAlivePeriod: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	for range 100 {
		s, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte{0x01, 0x40, 0x80, 0x00}); err != nil { // HEADERS of 128 bytes, of which one comes
			t.Fatal(err)
		}
	}
	select {
	case <-conn.Context().Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it is open after 10 s")
	}
}

func TestARequestWaitsForItsTurn(t *testing.T) {
	g := NewGate(1)
	of := g.of(&http.Request{RemoteAddr: "10.0.0.9:1"})
	if err := of.enter(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, of.leave)
	next := g.of(&http.Request{RemoteAddr: "10.0.0.10:1"})
	if err := next.await(t.Context()); err != nil {
		t.Errorf("it was refused: %v", err)
	}
	if err := g.of(&http.Request{RemoteAddr: "10.0.0.11:1"}).await(t.Context()); !errors.Is(err, vstack.ErrUnavailable) {
		t.Errorf("for ever: %v", err)
	}
	next.leave()
	if g.Busy() != 0 {
		t.Errorf("%d busy", g.Busy())
	}
}

func TestLivezIsAnsweredHoweverMuchThereIsToDo(t *testing.T) {
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.Gate = NewGate(1) })
	of := r.gate.of(&http.Request{RemoteAddr: "10.0.0.9:1"})
	if err := of.enter(); err != nil {
		t.Fatal(err)
	}
	defer of.leave()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		for path, want := range map[string]int{livez: 200, "/v1/chunks/x": 503} {
			resp, err := r.client1(t, proto, r.client.ClientTLS()).Get(r.url + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", proto, path, resp.StatusCode, want)
			}
		}
	}
}

// mute hears nothing, like an address that is not the sender's.
type mute struct{ *net.UDPConn }

func (m mute) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		if _, _, err := m.UDPConn.ReadFrom(p); err != nil {
			return 0, nil, err
		}
	}
}

// An audit's Initials from unproven addresses cost 2 GB, and the connections of honest
// clients.
func TestInitialsOfUnprovenAddressesCostLittle(t *testing.T) {
	const proveAbove = 32
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.ProveAbove = proveAbove })
	ctx, cancel := context.WithCancel(t.Context())
	cfg := r.client.ClientTLS()
	cfg.NextProtos = []string{http3.NextProtoH3}
	cfg.ServerName = "127.0.0.1"
	addr, err := net.ResolveUDPAddr("udp", r.endpoint.Addr())
	if err != nil {
		t.Fatal(err)
	}
	var ends []func()
	for n := range 2 { // addresses
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 9, byte(n+1))})
		if err != nil {
			t.Fatal(err)
		}
		tr := &quic.Transport{Conn: struct{ net.PacketConn }{mute{udp}}}
		done := make(chan struct{}, 40)
		for range cap(done) {
			go func() {
				_, _ = tr.Dial(ctx, addr, cfg, &quic.Config{HandshakeIdleTimeout: time.Minute})
				done <- struct{}{}
			}()
		}
		ends = append(ends, func() {
			for range cap(done) {
				<-done
			}
			_, _ = tr.Close(), udp.Close()
		})
	}
	defer func() {
		cancel()
		for _, end := range ends {
			end()
		}
	}()
	most := 0
	for deadline := time.Now().Add(time.Minute); most < proveAbove && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		most = max(most, r.endpoint.conns.handshakes.Open())
	}
	if most != proveAbove {
		t.Fatalf("%d handshakes of strangers, want %d at last", most, proveAbove)
	}
	began := time.Now()
	resp, err := r.client1(t, "HTTP/3.0", r.client.ClientTLS()).Get(r.url + livez)
	if err != nil {
		t.Fatalf("an honest client among them: %v after %v", err, time.Since(began))
	}
	_ = resp.Body.Close()
	if n := r.endpoint.conns.handshakes.Open(); n > proveAbove {
		t.Errorf("%d handshakes are under way, at most %d without proof", n, proveAbove)
	}
	t.Logf("answered after %v", time.Since(began))
}
