package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened relays to a server, which is closed behind the relay.
func opened(t *testing.T, cfg Config, server io.Closer) *Relay {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	if cfg.Down.Phases == nil {
		cfg.Down = cfg.Up
	}
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), server.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// udpServer echoes, or only takes.
func udpServer(t *testing.T, echo bool) (*net.UDPConn, chan []byte) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadBuffer(socketBuffer)
	got := make(chan []byte, 10_000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if echo {
				_, _ = c.WriteToUDPAddrPort(buf[:n], from)
			} else {
				got <- bytes.Clone(buf[:n])
			}
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return c, got
}

func dialUDP(t *testing.T, r *Relay) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// numbered is a packet that says which it is.
func numbered(i, size int) []byte {
	p := make([]byte, size)
	binary.BigEndian.PutUint32(p, uint32(i))
	return p
}

func TestDatagramsTakeTheRoundTrip(t *testing.T) {
	server, _ := udpServer(t, true)
	r := opened(t, Config{To: server.LocalAddr().String(), UDP: true, Up: shape.Always(shape.Shape{Delay: 20 * time.Millisecond}),
		Down: shape.Always(shape.Shape{Delay: 30 * time.Millisecond})}, server)
	for range 2 { // clients have flows of their own
		c := dialUDP(t, r)
		buf := make([]byte, 1<<16)
		// Large ones, too: on loopback a datagram may have 64 KiB.
		for i, size := range []int{1, 1200, 9000, 60_000, 0} {
			began := time.Now()
			if _, err := c.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := c.Read(buf)
			if took := time.Since(began); err != nil || n != size || took < 50*time.Millisecond {
				t.Errorf("datagram %d of %d bytes: %d back after %v, %v", i, size, n, took, err)
			}
		}
	}
	// A packet may be there before it is counted.
	for deadline := time.Now().Add(10 * time.Second); r.down.Counts().Packets < 10 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	up, down, _ := r.Report()
	if up.Packets != 10 || down.Packets != 10 || up.Bytes != 2*(70_201+5*28) {
		t.Errorf("up %+v, down %+v", up, down)
	}
}

func TestDatagramsAreLostByChanceAlone(t *testing.T) {
	server, got := udpServer(t, false)
	const n, loss = 4000, 0.1
	r := opened(t, Config{To: server.LocalAddr().String(), UDP: true, Up: shape.Always(shape.Shape{Loss: loss}), Seed: 7}, server)
	c := dialUDP(t, r)
	for i := range n {
		if _, err := c.Write(numbered(i, 1000)); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 {
			time.Sleep(time.Millisecond) // a pace that sockets' buffers bear
		}
	}
	want := int64(0)
	for deadline := time.Now().Add(time.Minute); want == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if up, _, _ := r.Report(); up.Packets+up.Lost+up.Overrun == n {
			want = up.Packets
			if sd := math.Sqrt(loss * (1 - loss) * n); math.Abs(float64(up.Lost)-loss*n) > 4*sd && up.Overrun == 0 {
				t.Errorf("lost %d of %d", up.Lost, n)
			}
		}
	}
	last := -1
	for range want {
		select {
		case p := <-got:
			if i := int(binary.BigEndian.Uint32(p)); i <= last || len(p) != 1000 {
				t.Fatalf("packet %d of %d bytes behind %d", i, len(p), last)
			} else {
				last = i
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("the last packet of %d is %d", want, last)
		}
	}
}

// TestBurstIsPacedAndWhole sends by segmentation offload, as quic-go does: the relay
// reads many packets as one, and takes each for itself.
func TestBurstIsPacedAndWhole(t *testing.T) {
	server, got := udpServer(t, false)
	const size, n, rate = 1200, 320, 20e6
	r := opened(t, Config{To: server.LocalAddr().String(), UDP: true, Up: shape.Always(shape.Shape{Rate: rate, Queue: 1 << 20})}, server)
	c := dialUDP(t, r)
	began := time.Now()
	for i := 0; i < n; i += 32 {
		var burst []byte
		for j := range 32 {
			burst = append(burst, numbered(i+j, size)...)
		}
		if _, _, err := c.WriteMsgUDP(burst, segmentMessage(nil, size), nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		select {
		case p := <-got:
			if int(binary.BigEndian.Uint32(p)) != i || len(p) != size {
				t.Fatalf("packet %d of %d bytes, want %d", binary.BigEndian.Uint32(p), len(p), i)
			}
			// No packet comes before the link could have carried it.
			if took, least := time.Since(began), time.Duration(float64(i+1)*(size+28)*8/rate*1e9); took < least {
				t.Fatalf("packet %d after %v, at %v bit/s it takes %v", i, took, rate, least)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("packet %d did not come", i)
		}
	}
}

func TestFullQueueDropsDatagrams(t *testing.T) {
	server, got := udpServer(t, false)
	r := opened(t, Config{To: server.LocalAddr().String(), UDP: true, Up: shape.Always(shape.Shape{Rate: 1e6, Queue: 10 * 1028})}, server)
	c := dialUDP(t, r)
	for i := range 40 {
		if _, err := c.Write(numbered(i, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if p := <-got; int(binary.BigEndian.Uint32(p)) != i {
			t.Fatalf("packet %d, want %d", binary.BigEndian.Uint32(p), i)
		}
	}
	up, _, _ := r.Report()
	if up.Dropped < 25 { // one or the other may leave while the rest is sent
		t.Errorf("%+v", up)
	}
}

func tcpServer(t *testing.T, serve func(net.Conn)) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func dialTCP(t *testing.T, r *Relay) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// exchange sends a word and waits for its echo.
func exchange(c net.Conn, word string, within time.Duration) error {
	if _, err := io.WriteString(c, word); err != nil {
		return err
	}
	return receive(c, word, within)
}

func receive(c net.Conn, word string, within time.Duration) error {
	_ = c.SetReadDeadline(time.Now().Add(within))
	buf := make([]byte, len(word))
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	if string(buf) != word {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func TestStreamTakesItsRoundTrips(t *testing.T) {
	server := tcpServer(t, echo)
	r := opened(t, Config{To: server.Addr().String(), TCP: true, Up: shape.Always(shape.Shape{Delay: 20 * time.Millisecond})}, server)
	began := time.Now()
	c := dialTCP(t, r)
	for i, want := range []time.Duration{80 * time.Millisecond, 40 * time.Millisecond} { // the handshake and the word; the word
		if err := exchange(c, "word", 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < want {
			t.Errorf("exchange %d took %v, less than %v", i+1, took, want)
		}
		began = time.Now()
	}
}

func TestStreamIsWholeAtItsRate(t *testing.T) {
	const size, rate = 1 << 20, 40e6
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * 7 >> 3)
	}
	server := tcpServer(t, func(c net.Conn) {
		h := sha256.New()
		if _, err := io.Copy(h, c); err == nil { // until the client has ended
			_, _ = c.Write(h.Sum(nil))
		}
	})
	// A queue of ten segments: the rest waits where it would have been dropped.
	r := opened(t, Config{To: server.Addr().String(), TCP: true, Up: shape.Always(shape.Shape{Rate: rate, Queue: 15_000, Delay: time.Millisecond})}, server)
	c := dialTCP(t, r)
	began := time.Now()
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	sum, err := io.ReadAll(c)
	if want := sha256.Sum256(sent); err != nil || !bytes.Equal(sum, want[:]) {
		t.Fatalf("hash %x, %v", sum, err)
	}
	for deadline := time.Now().Add(10 * time.Second); r.down.Counts().Packets < 3 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	up, down, _ := r.Report()
	segments := math.Ceil(size / float64(segment))
	if least := time.Duration((size + segments*52) * 8 / rate * 1e9); time.Since(began) < least {
		t.Errorf("took %v, at %v bit/s it takes %v", time.Since(began), rate, least)
	}
	if up.Bytes < size+int64(segments)*52 || up.Dropped != 0 || down.Bytes != 32+3*52 {
		t.Errorf("up %+v, down %+v", up, down)
	}
}

func TestCutStreamWaitsAndAResetOneIsLost(t *testing.T) {
	plain, down := shape.Always(shape.Shape{}), shape.Always(shape.Shape{Down: true})
	for name, cut := range map[string][2]shape.Plan{"both ways": {down, down}, "to the server": {down, plain}, "from the server": {plain, down}} {
		t.Run(name, func(t *testing.T) {
			server := tcpServer(t, echo)
			r := opened(t, Config{To: server.Addr().String(), TCP: true, Up: plain}, server)
			c := dialTCP(t, r)
			if err := exchange(c, "one", 5*time.Second); err != nil {
				t.Fatal(err)
			}
			if err := r.SetPlans(cut[0], cut[1]); err != nil {
				t.Fatal(err)
			}
			if err := exchange(c, "two", 50*time.Millisecond); !os.IsTimeout(err) {
				t.Fatalf("over a cut link: %v", err)
			}
			if err := r.SetPlans(plain, plain); err != nil {
				t.Fatal(err)
			}
			if err := receive(c, "two", 5*time.Second); err != nil {
				t.Errorf("what was under way: %v", err)
			}
			if err := r.SetPlans(cut[0], cut[1]); err != nil {
				t.Fatal(err)
			}
			if err := exchange(c, "three", 50*time.Millisecond); !os.IsTimeout(err) {
				t.Fatalf("over a cut link: %v", err)
			}
			r.Reset()
			if err := r.SetPlans(plain, plain); err != nil {
				t.Fatal(err)
			}
			if err := receive(c, "three", 5*time.Second); err == nil || os.IsTimeout(err) {
				t.Errorf("over a reset connection: %v", err)
			}
		})
	}
}

func TestReaderWhoStopsHoldsNobodyElseUp(t *testing.T) {
	hold := make(chan struct{})
	ln := tcpServer(t, func(c net.Conn) {
		var first [1]byte
		if _, err := io.ReadFull(c, first[:]); err != nil {
			return
		}
		if first[0] == 'h' {
			<-hold // this one reads no more
			return
		}
		if _, err := c.Write(first[:]); err == nil {
			echo(c)
		}
	})
	r := opened(t, Config{To: ln.Addr().String(), TCP: true, Up: shape.Always(shape.Shape{})}, ln)
	t.Cleanup(func() { close(hold) })
	stuck := dialTCP(t, r)
	_ = stuck.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := stuck.Write(bytes.Repeat([]byte("h"), 64<<20)); !os.IsTimeout(err) {
		t.Fatalf("wrote %d bytes to who does not read: %v", n, err)
	}
	if err := exchange(dialTCP(t, r), "word", 10*time.Second); err != nil {
		t.Error(err)
	}
}

func TestRelayRefusesWhatItCannotPlay(t *testing.T) {
	lossy := shape.Always(shape.Shape{Loss: 0.01})
	for name, cfg := range map[string]Config{
		"loss on TCP":      {Listen: "127.0.0.1:0", To: "127.0.0.1:1", TCP: true, Up: lossy, Down: lossy},
		"neither":          {Listen: "127.0.0.1:0", To: "127.0.0.1:1", Up: lossy, Down: lossy},
		"every address":    {Listen: "0.0.0.0:0", To: "127.0.0.1:1", UDP: true, Up: lossy, Down: lossy},
		"no plan":          {Listen: "127.0.0.1:0", To: "127.0.0.1:1", UDP: true},
		"no server's port": {Listen: "127.0.0.1:0", To: "127.0.0.1", UDP: true, Up: lossy, Down: lossy},
	} {
		if r, err := Open(cfg); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	server := tcpServer(t, echo)
	r := opened(t, Config{To: server.Addr().String(), TCP: true, UDP: true, Up: shape.Always(shape.Shape{})}, server)
	if err := r.SetPlans(lossy, lossy); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("loss on TCP, later: %v", err)
	}
}

func TestLateLinkRefusesToReport(t *testing.T) {
	c := newTally()
	for i := range 100 {
		c.sent(1000, time.Duration(i/94)*3*time.Millisecond) // 6 of 100 are late
	}
	got := c.read()
	if err := got.Err(); !errors.Is(err, ErrLate) || got.LateP50 != 0 {
		t.Errorf("%+v: %v", got, err)
	}
	if err := (Counts{LateP95: MaxLate.Seconds()}).Err(); err != nil {
		t.Error(err)
	}
	if err := (Counts{Overrun: 1}).Err(); !errors.Is(err, ErrLate) {
		t.Errorf("overrun: %v", err)
	}
}

// TestStreamIsWholeWhilePlansChange sends over ways that do nothing, where packets pass
// by themselves, and ways that do, where the thread sends them: none may overtake.
func TestStreamIsWholeWhilePlansChange(t *testing.T) {
	const size = 8 << 20
	sent := make([]byte, size)
	for i := 0; i < size; i += 8 {
		binary.BigEndian.PutUint64(sent[i:], uint64(i))
	}
	server := tcpServer(t, func(c net.Conn) {
		h := sha256.New()
		if _, err := io.Copy(h, c); err == nil {
			_, _ = c.Write(h.Sum(nil))
		}
	})
	plain := shape.Always(shape.Shape{})
	r := opened(t, Config{To: server.Addr().String(), TCP: true, Up: plain}, server)
	c := dialTCP(t, r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; i < size; i += 64 << 10 {
			if _, err := c.Write(sent[i : i+64<<10]); err != nil {
				return
			}
		}
		_ = c.CloseWrite()
	}()
	plans := []shape.Plan{plain, shape.Always(shape.Shape{Rate: 400e6, Delay: time.Millisecond}), plain, shape.Always(shape.Shape{Down: true})}
	for i := 0; ; i++ {
		if err := r.SetPlans(plans[i%len(plans)], plain); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			if err := r.SetPlans(plain, plain); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
			sum, err := io.ReadAll(c)
			if want := sha256.Sum256(sent); err != nil || !bytes.Equal(sum, want[:]) {
				t.Fatalf("after %d changes hash %x, %v", i, sum, err)
			}
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}
