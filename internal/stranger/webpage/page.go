package webpage

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/vstack/vstack/datanode/browser"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// frameStream begins a bidirectional stream of a session.
const frameStream = 0x41

// answerTime bounds one read.
const answerTime = 30 * time.Second

// Session is a WebTransport session with a store.
type Session struct {
	conn *quic.Conn
	id   uint64
}

// Dial opens a session; token, unless it is empty, is in the address of the CONNECT.
func Dial(ctx context.Context, door wire.BrowserDoor, token string) (*Session, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{http3.NextProtoH3}, InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			sum := sha256.Sum256(raw[0])
			if !slices.Contains(door.Hashes, base64.StdEncoding.EncodeToString(sum[:])) {
				return errors.New("certificate of another hash")
			}
			return nil
		}}
	conn, err := quic.DialAddr(ctx, door.Addr, conf, &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true})
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", door.Addr, err)
	}
	str, err := connect(ctx, conn, door.Addr, token)
	if err != nil {
		_ = conn.CloseWithError(0, "")
		return nil, fmt.Errorf("open a session at %s: %w", door.Addr, err)
	}
	return &Session{conn, uint64(str.StreamID())}, nil
}

func connect(ctx context.Context, conn *quic.Conn, addr, token string) (*http3.RequestStream, error) {
	h3 := (&http3.Transport{EnableDatagrams: true, AdditionalSettings: map[uint64]uint64{0x2b603742: 1, 0x2c7cf000: 1}}).NewClientConn(conn)
	str, err := h3.OpenRequestStream(ctx)
	if err != nil {
		return nil, err
	}
	at := &url.URL{Scheme: "https", Host: addr, Path: browser.PathRead}
	if token != "" {
		at.RawQuery = url.Values{watch.Query: {token}}.Encode()
	}
	if err := str.SendRequestHeader(&http.Request{Method: http.MethodConnect, Proto: "webtransport", Host: addr, URL: at, Header: http.Header{}}); err != nil {
		return nil, err
	}
	resp, err := str.ReadResponse()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return str, err
}

// Read asks for a chunk, and returns the status and the body.
func (s *Session) Read(ctx context.Context, id vstack.ChunkID) (int, []byte, error) {
	str, err := s.conn.OpenStreamSync(ctx)
	if err != nil {
		return 0, nil, err
	}
	b := quicvarint.Append(quicvarint.Append(nil, frameStream), s.id)
	if _, err := str.Write(browser.Request{Chunk: id}.Append(b)); err != nil {
		return 0, nil, err
	}
	_ = str.SetReadDeadline(time.Now().Add(answerTime))
	all, err := io.ReadAll(str)
	if err != nil {
		return 0, nil, err
	}
	if len(all) < browser.HeadSize+browser.TailSize {
		return 0, nil, fmt.Errorf("an answer of %d bytes", len(all))
	}
	head, err := browser.ParseHead(all[:browser.HeadSize])
	return int(head.Status), all[browser.HeadSize : len(all)-browser.TailSize], err
}

// Close ends the session.
func (s *Session) Close() { _ = s.conn.CloseWithError(0, "") }
