package datanode

import (
	"bytes"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/stranger/webpage"
	"github.com/vstack/vstack/internal/vstack"
)

// doorPort is a port of 127.0.0.1 that is free, as is the one for browsers above it.
func doorPort(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		if above := browserAddr(addr); above != "" {
			if udp, err := net.ListenPacket("udp", above); err == nil {
				udp.Close()
				return addr
			}
		}
	}
	t.Fatal("no two ports are free")
	return ""
}

// TestAPrivateChunkIsReadByItsSessionsTokenAlone is the walk of TestAPrivateChunkIsReadWithItsTokenAlone
// over the door for browsers: the token is in the address of the CONNECT, and judged at each read.
func TestAPrivateChunkIsReadByItsSessionsTokenAlone(t *testing.T) {
	addr := doorPort(t)
	g := newGuardedOf(t, func(cfg *Config) { cfg.Browsers, cfg.Stores[0].Addr = true, addr })
	g.meta.set(func() { g.meta.level = vstack.NewestLevel })
	st := g.n.server.stores[0]
	waitFor(t, func() bool { return st.report().Browser != nil })
	door := st.report().Browser
	read := func(token string, id vstack.ChunkID) (int, []byte) {
		t.Helper()
		s, err := webpage.Dial(t.Context(), *door, token)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		status, body, err := s.Read(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return status, body
	}
	absent := vstack.ChunkID{0xff}
	for name, token := range g.wrong() {
		status, body := read(token, g.private.ID)
		none, missing := read(token, absent)
		if status != http.StatusNotFound || none != status || !bytes.Equal(bytes.ReplaceAll(body, []byte(g.private.ID.String()), []byte(absent.String())), missing) {
			t.Errorf("%s: %d %s, a chunk that is not here: %d %s", name, status, body, none, missing)
		}
		for what, id := range map[string]vstack.ChunkID{"public": g.open.ID, "of both": g.shared.ID} {
			if status, _ := read(token, id); status != http.StatusOK {
				t.Errorf("%s: a chunk %s: %d", name, what, status)
			}
		}
	}
	s, err := webpage.Dial(t.Context(), *door, g.token(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if status, body, err := s.Read(t.Context(), g.private.ID); err != nil || status != http.StatusOK || vstack.ChunkIDOf(body) != g.private.ID {
		t.Errorf("the right token: %d, %d bytes, %v", status, len(body), err)
	}
	// Revoked, the session that stands reads no more.
	g.meta.allow(g.film, vstack.Access{Visibility: vstack.VisibilityPrivate, TokensFrom: time.Now().Truncate(time.Second).Add(time.Second)})
	waitFor(t, func() bool {
		status, _, err := s.Read(t.Context(), g.private.ID)
		return err == nil && status == http.StatusNotFound
	})
	if status, _, err := s.Read(t.Context(), g.open.ID); err != nil || status != http.StatusOK {
		t.Errorf("a public chunk after it: %d, %v", status, err)
	}
}
