package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/stores"
)

// Unvoted is an unvoted host beside each host of the lab, with as many stores, and a
// client that writes chunks to them over the connections that quicclient makes.
type Unvoted struct {
	hosts []*process
	pool  *stores.Pool
}

// StartUnvoted runs the hosts. placement is the lab's own: the twins stand where the
// real stores do.
func (s Site) StartUnvoted(placement func(context.Context) (*vstack.PlacementMap, error)) (_ *Unvoted, err error) {
	u := &Unvoted{}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.Close())
		}
	}()
	for _, h := range s.Lab.Hosts {
		conf := unvotedSetup{TLS: filepath.Join(h.Dir, "tls"), Stores: map[string]string{}, Superblock: int64(h.Config.Data.Superblock)}
		for i, st := range h.Config.Data.Stores {
			addr, err := twin(st.Addr)
			if err != nil {
				return nil, err
			}
			conf.Stores[addr] = filepath.Join(s.Dir, "unvoted", string(h.ID), strconv.Itoa(i+1))
		}
		p, err := start(s.Exe, partUnvoted, conf)
		if err != nil {
			return nil, err
		}
		u.hosts = append(u.hosts, p)
	}
	u.pool = stores.NewPool(stores.Config{ // quicclient's defaults
		TLS: s.TLS, Network: network.OS{}, PlacementMaxAge: 10 * time.Second, TCPConns: 16, NoQUIC: true,
		HandshakeTimeout: 3 * time.Second, IdleTimeout: 5 * time.Second, FallbackAfter: 400 * time.Millisecond,
		Placement: func(ctx context.Context) (*vstack.PlacementMap, error) {
			m, err := placement(ctx)
			if err != nil {
				return nil, err
			}
			moved := *m
			moved.Stores = append([]vstack.Store(nil), m.Stores...)
			for i := range moved.Stores {
				if moved.Stores[i].Addr, err = twin(moved.Stores[i].Addr); err != nil {
					return nil, err
				}
			}
			return &moved, nil
		},
	})
	return u, nil
}

// Close ends the client and the hosts.
func (u *Unvoted) Close() error {
	var err error
	if u.pool != nil {
		err = u.pool.Close()
	}
	return errors.Join(err, closeAll(u.hosts))
}

// Put writes the chunk to all three acceptors of a slot and waits for them; the slot only
// chooses the stores.
func (u *Unvoted) Put(ctx context.Context, slot vstack.Slot, data []byte) error {
	m, err := u.pool.Placement(ctx)
	if err != nil {
		return err
	}
	group, ok := m.Group(slot)
	if !ok {
		return vstack.ErrNotReady
	}
	id := vstack.ChunkIDOf(data)
	var g errgroup.Group
	for _, t := range u.pool.Targets(m, group.Acceptors()) {
		g.Go(func() error { return u.send(ctx, t.Peer, id, data) })
	}
	return g.Wait()
}

func (u *Unvoted) send(ctx context.Context, p *stores.Peer, id vstack.ChunkID, data []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://"+p.Addr+wire.PathChunks+id.String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	resp, _, err := p.RoundTrip(req, stores.TCP)
	if err != nil {
		return fmt.Errorf("PUT to %s: %w", p.Addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT to %s: %w", p.Addr, wire.ReadError(resp))
	}
	if _, err := strconv.ParseUint(resp.Header.Get(wire.HeaderLSN), 10, 64); err != nil {
		return fmt.Errorf("PUT to %s: %w: no LSN", p.Addr, vstack.ErrInternal)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// twinPort is added to the port of a store for what stands beside it. A store's door for
// browsers has the one at 1000.
const twinPort = 1500

// twin is the address of what stands beside a store.
func twin(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("store address %q: %w: %v", addr, vstack.ErrInvalid, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return "", fmt.Errorf("store address %q: %w: %v", addr, vstack.ErrInvalid, err)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+twinPort)), nil
}
