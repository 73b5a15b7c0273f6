package baseline

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode"
)

// Ports of the Raft members, on the addresses of the lab's hosts.
const (
	raftMemberPort = "7180"
	raftValuePort  = "8180"
)

// maxRaftValue bounds a value that a member takes.
const maxRaftValue = 64 << 10

// raftSetup is the standard input of a Raft member.
type raftSetup struct {
	ID    string            `json:"id"`
	Dir   string            `json:"dir"`
	TLS   string            `json:"tls"`   // directory of the host's identity
	Peers map[string]string `json:"peers"` // HOST:PORT of the Raft listeners, by id
	Addr  string            `json:"addr"`  // HOST:PORT that takes values
}

// valueLog is a state machine that only counts: what is measured is the log.
type valueLog struct{ applied atomic.Int64 }

func (l *valueLog) Apply(*raft.Log) any                 { return l.applied.Add(1) }
func (l *valueLog) Snapshot() (raft.FSMSnapshot, error) { return l, nil }
func (l *valueLog) Restore(r io.ReadCloser) error       { return r.Close() }
func (l *valueLog) Persist(s raft.SnapshotSink) error   { return s.Close() }
func (l *valueLog) Release()                            {}

// serveRaft runs one member of the metastore's make, raftnode with its defaults: PUT
// /value is answered when the body is committed on a majority's disks.
func serveRaft(ctx context.Context, conf raftSetup, ready func()) (err error) {
	id, err := identity.Load(conf.TLS)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rc := raftnode.Config{
		ID: conf.ID, Dir: conf.Dir, ServerTLS: id.MutualTLS, ClientTLS: id.ClientTLS(),
		Peer: func(cs *tls.ConnectionState) (string, error) {
			p, ok := identity.PeerOf(cs)
			return p.ID, identity.Require(p, ok, vstack.RoleMeta)
		},
		FSM: &valueLog{}, Fatal: func(err error) { panic(err) }, // a benchmark on a broken disk measures nothing
		Logger: slog.New(slog.DiscardHandler),
	}
	for peer, addr := range conf.Peers {
		rc.Peers = append(rc.Peers, raftnode.Peer{ID: peer, Addr: addr})
	}
	node, err := raftnode.Open(rc)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	listener, err := tls.Listen("tcp", conf.Addr, id.ServerTLS())
	if err != nil {
		return fmt.Errorf("listen on %s: %w", conf.Addr, err)
	}
	srv := &http.Server{ReadTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := applyValue(node, r); err != nil {
			wire.WriteError(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	ready()
	<-ctx.Done()
	err = srv.Close()
	<-served
	return err
}

// applyValue commits a body. GET asks whether this member leads.
func applyValue(node *raftnode.Node, r *http.Request) error {
	if _, err := identity.RequirePeer(r, vstack.RoleIngest|vstack.RoleAdmin); err != nil {
		return err
	}
	if r.Method == http.MethodGet {
		if _, leads := node.Leading(); !leads {
			return vstack.ErrNoLeader
		}
		return nil
	}
	value, err := io.ReadAll(io.LimitReader(r.Body, maxRaftValue))
	if err != nil {
		return fmt.Errorf("receive value: %w: %v", vstack.ErrTruncated, err)
	}
	_, err = node.Apply(r.Context(), value)
	return err
}

// Raft is three members of the metastore's make, and a client of their leader.
type Raft struct {
	members []*process
	client  *http.Transport
	leader  string // HOST:PORT
}

// StartRaft runs a Raft group beside the lab's hosts, and finds its leader; the client
// has so many connections.
func (s Site) StartRaft(ctx context.Context, conns int) (_ *Raft, err error) {
	g := &Raft{client: &http.Transport{TLSClientConfig: s.TLS.Clone(), MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns, DisableCompression: true}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	peers := map[string]string{}
	var addrs []string
	for _, h := range s.Lab.Hosts {
		peers[string(h.ID)] = net.JoinHostPort(h.Addr(), raftMemberPort)
	}
	for _, h := range s.Lab.Hosts {
		addr := net.JoinHostPort(h.Addr(), raftValuePort)
		p, err := start(s.Exe, partRaft, raftSetup{
			ID: string(h.ID), Dir: filepath.Join(s.Dir, "raft-"+string(h.ID)), TLS: filepath.Join(h.Dir, "tls"), Peers: peers, Addr: addr,
		})
		if err != nil {
			return nil, err
		}
		g.members, addrs = append(g.members, p), append(addrs, addr)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for i := 0; ; i++ {
		g.leader = addrs[i%len(addrs)]
		err := g.send(ctx, http.MethodGet, nil)
		if err == nil {
			return g, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("find the leader of the Raft group: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Put commits one value.
func (g *Raft) Put(ctx context.Context, value []byte) error {
	return g.send(ctx, http.MethodPut, value)
}

func (g *Raft) send(ctx context.Context, method string, value []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+g.leader+"/value", bytes.NewReader(value))
	if err != nil {
		return err
	}
	resp, err := g.client.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s value: %w", method, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s value: %w", method, wire.ReadError(resp))
	}
	return nil
}

// Close ends the members.
func (g *Raft) Close() error {
	g.client.CloseIdleConnections()
	return closeAll(g.members)
}
