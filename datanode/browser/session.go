package browser

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// Numbers of WebTransport over HTTP/3 (draft-ietf-webtrans-http3), of this version and of
// those that browsers have.
const (
	frameStream = 0x41 // begins a bidirectional stream of a session
	uniStream   = 0x54 // begins a unidirectional one
)

// settings say that sessions are welcome, in every version's words.
var settings = map[uint64]uint64{
	0x2b603742: 1, // ENABLE_WEBTRANSPORT of drafts up to 06
	0x2c7cf000: 1, // SETTINGS_WT_ENABLED
	0x14e9cd29: 1, // SETTINGS_WT_MAX_SESSIONS: a connection carries one
}

// protocols are the names of WebTransport in a CONNECT, of drafts before 15 and since.
var protocols = map[string]bool{"webtransport": true, "webtransport-h3": true}

// session is what a connection has of its one session.
type session struct {
	conn *quic.Conn
	ctx  context.Context // of the reads: tells the connection's signals
	id   atomic.Int64    // of the CONNECT's stream, −1 before
	open chan struct{}   // closed with the answer to the CONNECT
	// token is of the CONNECT's address, for all reads of the session; set before open closes.
	token string
	last  atomic.Int64 // Unix nanoseconds at which a read began or ended
	busy  atomic.Int64 // reads in flight
}

// serve speaks HTTP/3 on a connection, and takes the streams of its session.
func (d *Door) serve(conn *quic.Conn) {
	s := &session{conn: conn, open: make(chan struct{})}
	s.id.Store(-1)
	s.touch(0)
	s.ctx = d.tails.Watch(conn.Context(), conn)
	raw, err := (&http3.Server{
		Handler:         watch.Carry(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.connect(s, w, r) })),
		EnableDatagrams: true, MaxHeaderBytes: maxHeader, AdditionalSettings: settings,
		Logger: slog.New(slog.DiscardHandler), // its debug lines describe peers' mistakes
	}).NewRawServerConn(conn)
	if err != nil {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeInternalError), "") // it may have ended
		return
	}
	d.wg.Go(func() {
		for {
			str, err := conn.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			d.wg.Go(func() {
				if kind, err := quicvarint.Peek(str); err != nil || kind == uniStream {
					str.CancelRead(resetCode) // nothing is read from these
					return
				}
				raw.HandleUnidirectionalStream(str)
			})
		}
	})
	d.wg.Go(func() { d.tell(s) })
	for {
		str, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		d.wg.Go(func() {
			_ = str.SetReadDeadline(time.Now().Add(d.cfg.OpenTimeout))
			kind, err := quicvarint.Peek(str)
			switch {
			case err != nil:
				reset(str)
			case kind == frameStream:
				d.read(s, str)
			default:
				raw.HandleRequestStream(str)
			}
		})
	}
}

// reset gives a stream up.
func reset(str *quic.Stream) {
	str.CancelRead(resetCode)
	str.CancelWrite(resetCode)
}

// connect answers the CONNECT that opens a session. Any page may: chunks are public to
// whoever reaches the port, and no cookie is ever looked at.
func (d *Door) connect(s *session, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || !protocols[r.Proto] || r.URL.Path != PathRead {
		wire.WriteError(w, vstack.ErrNotFound)
		return
	}
	streamer, ok := w.(http3.HTTPStreamer)
	settled, also := w.(http3.Settingser)
	if !ok || !also {
		wire.WriteError(w, vstack.ErrInternal)
		return
	}
	select {
	case <-settled.ReceivedSettings():
	case <-time.After(d.cfg.OpenTimeout):
		wire.WriteError(w, vstack.ErrTimeout)
		return
	case <-r.Context().Done():
		return
	}
	select {
	case <-s.open:
		wire.WriteError(w, vstack.ErrUnavailable) // a connection carries one session
		return
	default:
	}
	w.Header().Set("Sec-Webtransport-Http3-Draft", "draft02") // drafts up to 06 want it
	w.WriteHeader(http.StatusOK)
	str, err := streamer.HTTPStream()
	if err != nil {
		return
	}
	if !s.id.CompareAndSwap(-1, int64(str.StreamID())) {
		str.CancelWrite(resetCode) // another one was quicker
		str.CancelRead(resetCode)
		return
	}
	_ = str.SetReadDeadline(time.Time{})
	s.token = watch.Of(r)
	close(s.open)
	d.wg.Go(func() { d.signal(s, str) })
	d.wg.Go(func() {
		_, _ = io.Copy(io.Discard, str) // capsules: none of them changes anything here
		_ = s.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "session ended")
	})
}

// read answers one stream of a session.
func (d *Door) read(s *session, str *quic.Stream) {
	select {
	case <-s.open: // the CONNECT may come behind a stream of its session
	case <-time.After(d.cfg.OpenTimeout):
		reset(str)
		return
	case <-str.Context().Done():
		return
	}
	r := quicvarint.NewReader(str)
	var id uint64
	_, err := quicvarint.Read(r) // the frame's type
	if err == nil {
		id, err = quicvarint.Read(r)
	}
	var head [RequestSize]byte
	if err == nil {
		_, err = io.ReadFull(r, head[:])
	}
	if err != nil || id != uint64(s.id.Load()) {
		reset(str)
		return
	}
	d.reads.Add(1)
	s.touch(1)
	defer func() {
		s.touch(-1)
		d.reads.Add(-1)
	}()
	a := newAnswer(str)
	_ = a.SetWriteDeadline(time.Now().Add(d.cfg.ReadTimeout))
	if req, err := ParseRequest(head[:]); err != nil {
		wire.WriteError(a, err)
	} else {
		str.SetPriority(int8(req.Urgency), false)
		ctx, cancel := context.WithCancel(s.ctx)
		stop := context.AfterFunc(str.Context(), cancel) // the page wants no more of it
		d.handler.ServeHTTP(a, req.http(ctx, s.conn, s.token))
		stop()
		cancel()
	}
	str.CancelRead(resetCode) // nothing follows a request
	a.finish()
}

func (s *session) touch(by int64) {
	s.busy.Add(by)
	s.last.Store(time.Now().UnixNano())
}

// tell closes a connection without a session after a while, and one without reads.
func (d *Door) tell(s *session) {
	wait := d.cfg.OpenTimeout
	for {
		select {
		case <-s.conn.Context().Done():
			return
		case <-time.After(wait):
		}
		quiet := time.Since(time.Unix(0, s.last.Load()))
		if s.id.Load() < 0 || s.busy.Load() == 0 && quiet >= d.cfg.IdleTimeout {
			_ = s.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "idle")
			return
		}
		wait = max(d.cfg.IdleTimeout-quiet, time.Second)
	}
}

// signal sends a session its signals, so that a page knows of stores that it reads nothing from.
func (d *Door) signal(s *session, str *http3.Stream) {
	every := time.NewTicker(d.cfg.SignalsEvery)
	defer every.Stop()
	var sent, lost uint64
	for {
		select {
		case <-s.conn.Context().Done():
			return
		case <-d.leaving: // of what is sent from now on, the last answers alone
			return
		case <-every.C:
		}
		stats := s.conn.ConnectionStats()
		now := wire.ServerTiming{RTT: stats.SmoothedRTT, Cwnd: stats.CongestionWindow, Busy: d.cfg.Gate.Busy()}
		if stats.PacketsSent > sent {
			now.Sent = stats.PacketsSent - sent
		}
		if stats.PacketsLost > lost { // losses may be taken back
			now.Lost = stats.PacketsLost - lost
		}
		sent, lost = stats.PacketsSent, stats.PacketsLost
		_ = str.SendDatagram(AppendSignals(make([]byte, 0, SignalsSize), now)) // one that is lost is followed by another
	}
}
