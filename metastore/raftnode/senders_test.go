package raftnode

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/metastore/raftnode/transport"
)

// dialed is a transport that sends to a member over its own certificate, as whoever has
// one may.
type dialed struct {
	cfg    *tls.Config
	proto  string
	closed chan struct{}
}

func (d dialed) Accept() (net.Conn, error) { <-d.closed; return nil, net.ErrClosed }
func (d dialed) Close() error              { close(d.closed); return nil }
func (d dialed) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (d dialed) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	to, _, _ := strings.Cut(string(addr), "|")
	cfg := d.cfg.Clone()
	cfg.NextProtos = []string{d.proto}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", to)
}

// An audit's host appended entries as the leader and raised the term by 100,000.
func TestNobodySpeaksRaftForAnother(t *testing.T) {
	g := newGroup(t, 3)
	g.startAll()
	lead := g.leader()
	victim := (lead + 1) % 3
	other := (lead + 2) % 3
	before := g.nodes[victim].raft.CurrentTerm()
	leader, _ := g.nodes[lead].Member(g.peers[lead].ID)
	third, _ := g.nodes[lead].Member(g.peers[other].ID)
	head := func(id raft.ServerID) raft.RPCHeader {
		return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(leader.Addr)}
	}
	asLeader := head(serverID(leader.ID, leader.Instance))
	for _, who := range []struct {
		name string
		as   *identity.Identity
		id   raft.ServerID
	}{
		{"a host that was never a member", g.identity("x1", identity.RoleHost, "127.0.0.1:1"), serverID("x1", "0123456789abcdef")},
		{"another member", g.identity(third.ID, identity.RoleHost, g.peers[other].Addr), serverID(third.ID, "0123456789abcdef")},
	} {
		tr := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: dialed{who.as.ClientTLS(), transport.RaftProto + g.nodes[0].Genesis(), make(chan struct{})}, MaxPool: 1, Timeout: time.Second, Logger: newLogger(slog.New(slog.DiscardHandler))})
		defer tr.Close()
		to := raft.ServerAddress(g.peers[victim].Addr)
		for n, h := range []raft.RPCHeader{asLeader, head(who.id), {ProtocolVersion: 3}} {
			what := fmt.Sprintf("%s, header %d", who.name, n)
			var appended raft.AppendEntriesResponse
			if err := tr.AppendEntries("", to, &raft.AppendEntriesRequest{RPCHeader: h, Term: before + 100_000}, &appended); err == nil {
				t.Errorf("%s: appends: %+v", what, appended)
			}
			var voted raft.RequestVoteResponse
			if err := tr.RequestVote("", to, &raft.RequestVoteRequest{RPCHeader: h, Term: before + 100_000, LeadershipTransfer: true}, &voted); err == nil {
				t.Errorf("%s: asks for a vote: %+v", what, voted)
			}
			var now raft.TimeoutNowResponse
			if err := tr.TimeoutNow("", to, &raft.TimeoutNowRequest{RPCHeader: h}, &now); err == nil {
				t.Errorf("%s: has it stand for election", what)
			}
			var installed raft.InstallSnapshotResponse
			if err := tr.InstallSnapshot("", to, &raft.InstallSnapshotRequest{RPCHeader: h, SnapshotVersion: 1, Term: before + 100_000, Size: 1}, &installed, bytes.NewReader([]byte{0})); err == nil {
				t.Errorf("%s: installs a snapshot: %+v", what, installed)
			}
		}
	}
	if term := g.nodes[victim].raft.CurrentTerm(); term > before+10 {
		t.Errorf("term %d, it was %d", term, before)
	}
	tr := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: dialed{g.identity(third.ID, identity.RoleHost, g.peers[other].Addr).ClientTLS(), transport.RaftProto + g.nodes[0].Genesis(), make(chan struct{})}, MaxPool: 1, Timeout: time.Second, Logger: newLogger(slog.New(slog.DiscardHandler))})
	defer tr.Close()
	var pre raft.RequestPreVoteResponse
	if err := tr.RequestPreVote("", raft.ServerAddress(g.peers[victim].Addr), &raft.RequestPreVoteRequest{RPCHeader: head(serverID(third.ID, third.Instance)), Term: 1}, &pre); err != nil || pre.Granted {
		t.Errorf("a member in its own name: %+v, %v", pre, err)
	}
}

func TestAMemberIsNotKeptAwayBySilentHandshakes(t *testing.T) {
	g := newGroup(t, 3)
	g.start(0)
	var silent []net.Conn
	for range 4 * transport.MaxHandshakes { // from another address than the members'
		c, err := (&net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}).Dial("tcp", g.peers[0].Addr)
		if err == nil {
			silent = append(silent, c)
		}
	}
	defer func() {
		for _, c := range silent {
			_ = c.Close()
		}
	}()
	as := g.identity(g.peers[1].ID, identity.RoleHost, g.peers[1].Addr)
	cfg := as.ClientTLS()
	cfg.NextProtos = []string{transport.HelloProto}
	host, _, _ := net.SplitHostPort(g.peers[1].Addr)
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}, Config: cfg}
	began := time.Now()
	c, err := d.Dial("tcp", g.peers[0].Addr)
	if err != nil {
		t.Fatalf("a member's handshake among %d silent ones: %v after %v", len(silent), err, time.Since(began))
	}
	defer c.Close()
	if _, err := parseHello(c); err != nil {
		t.Errorf("no hello: %v", err)
	}
}
