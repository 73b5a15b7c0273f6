package checkup

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/internal/vstack"
)

// Door is a UDP port of a store that was dialled by QUIC: that of everybody, and that of web
// pages.
type Door struct {
	Host, Addr string
	Pages      bool
	Err        error // of the handshake
}

// quicTimeout bounds one handshake.
const quicTimeout = 3 * time.Second

// doors are the UDP ports of stores that are up.
func (f *Facts) doors() {
	for _, n := range f.Nodes {
		for _, st := range n.Stores {
			if st.State != vstack.StoreUp {
				continue
			}
			f.Doors = append(f.Doors, Door{Host: string(n.Host), Addr: st.Addr})
			if st.Report != nil && st.Report.Browser != nil {
				f.Doors = append(f.Doors, Door{Host: string(n.Host), Addr: st.Report.Browser.Addr, Pages: true})
			}
		}
	}
}

// knock dials every door at once.
func (f *Facts) knock(ctx context.Context, conf *tls.Config) {
	var wg sync.WaitGroup
	for i := range f.Doors {
		wg.Go(func() { f.Doors[i].Err = shake(ctx, f.Doors[i], conf) })
	}
	wg.Wait()
}

// shake is one QUIC handshake, which proves that datagrams go both ways.
func shake(ctx context.Context, d Door, conf *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, quicTimeout)
	defer cancel()
	conf = conf.Clone()
	conf.NextProtos = []string{"h3"}
	if d.Pages {
		// Pages know that certificate by its hash, no authority signed it; nothing is asked here.
		conf.InsecureSkipVerify, conf.VerifyConnection, conf.VerifyPeerCertificate = true, nil, nil
	}
	conn, err := quic.DialAddr(ctx, d.Addr, conf, &quic.Config{HandshakeIdleTimeout: quicTimeout})
	if err != nil {
		return err
	}
	return conn.CloseWithError(0x100, "") // H3_NO_ERROR
}

// datagrams judges whether UDP reaches the stores, of those whose TCP does.
func datagrams(f *Facts) []doctor.Finding {
	var shut, closed []string
	var stores, pages int
	for _, d := range f.Doors {
		away := slices.ContainsFunc(f.Listeners, func(l Listener) bool { return l.Host == d.Host && l.Err != nil })
		switch {
		case d.Err == nil && d.Pages:
			pages++
		case d.Err == nil:
			stores++
		case away: // its listener says so
		case d.Pages:
			closed = append(closed, d.Addr)
		default:
			shut = append(shut, d.Addr)
		}
	}
	var out []doctor.Finding
	if len(shut) > 0 {
		out = append(out, found("udp", doctor.Warn, "let UDP through as TCP is, both ways: "+strings.Join(shut, " "),
			"no QUIC handshake in %s with %s, whose TCP answers: chunks are read over TCP from here", quicTimeout, strings.Join(shut, ", ")))
	}
	if len(closed) > 0 {
		out = append(out, found("udp of pages", doctor.Warn, "let UDP through, both ways: "+strings.Join(closed, " "),
			"no QUIC handshake with %s: web pages from here read through a gateway", strings.Join(closed, ", ")))
	}
	if len(out) == 0 && stores > 0 {
		text := fmt.Sprintf("QUIC handshakes from here with %d of %d stores", stores, stores)
		if pages > 0 {
			text += fmt.Sprintf(", and at %d ports for web pages", pages)
		}
		out = append(out, found("udp", doctor.OK, "", "%s", text))
	}
	return out
}
