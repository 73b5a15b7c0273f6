package browser

import (
	"bytes"
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
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// page is a browser's side of a session.
type page struct {
	t    *testing.T
	conn *quic.Conn
	str  *http3.RequestStream
}

// dial opens a session as a browser does: by a certificate's hash alone.
func dial(t *testing.T, addr string, hashes []string) (*page, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conf := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{http3.NextProtoH3}, InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			sum := sha256.Sum256(raw[0])
			if !slices.Contains(hashes, base64.StdEncoding.EncodeToString(sum[:])) {
				return errors.New("certificate of another hash")
			}
			return nil
		},
	}
	conn, err := quic.DialAddr(ctx, addr, conf, &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	h3 := (&http3.Transport{EnableDatagrams: true, AdditionalSettings: map[uint64]uint64{0x2b603742: 1, 0x2c7cf000: 1}}).NewClientConn(conn)
	str, err := h3.OpenRequestStream(ctx)
	if err != nil {
		return nil, err
	}
	err = str.SendRequestHeader(&http.Request{
		Method: http.MethodConnect, Proto: "webtransport", Host: addr, URL: &url.URL{Scheme: "https", Host: addr, Path: PathRead},
		Header: http.Header{"Origin": {"https://films.example"}},
	})
	if err != nil {
		return nil, err
	}
	res, err := str.ReadResponse()
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	return &page{t, conn, str}, nil
}

// open begins a stream of the session with some bytes.
func (p *page) open(b []byte) *quic.Stream {
	p.t.Helper()
	str, err := p.conn.OpenStreamSync(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	head := quicvarint.Append(quicvarint.Append(nil, frameStream), uint64(p.str.StreamID()))
	if _, err := str.Write(append(head, b...)); err != nil {
		p.t.Fatal(err)
	}
	return str
}

// got is an answer.
type got struct {
	Head
	table vstack.LeafTable
	body  []byte
	tail  wire.ServerTiming
}

func (p *page) ask(b []byte) (got, error) {
	p.t.Helper()
	str := p.open(b)
	_ = str.SetReadDeadline(time.Now().Add(30 * time.Second))
	return readAnswer(str)
}

func readAnswer(r io.Reader) (g got, err error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return got{}, err
	}
	if len(all) < HeadSize+TailSize {
		return got{}, fmt.Errorf("%d bytes only", len(all))
	}
	if g.Head, err = ParseHead(all[:HeadSize]); err != nil {
		return got{}, err
	}
	rest := all[HeadSize:]
	if len(rest) != int(g.Leaves+g.Body)+TailSize {
		return got{}, fmt.Errorf("%d bytes behind the head, which says %d and %d", len(rest), g.Leaves, g.Body)
	}
	g.table, rest = bytes.Clone(rest[:g.Leaves]), rest[g.Leaves:]
	g.body, rest = bytes.Clone(rest[:g.Body]), rest[g.Body:]
	g.tail, err = ParseTail(rest)
	return g, err
}
