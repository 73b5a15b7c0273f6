package datanode

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/vstack/vstack/datanode/browser"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// BrowserPorts is how far above a store's port its port for browsers lies.
	BrowserPorts = 1000
	// doorRetry is the pause after a port for browsers could not be had.
	doorRetry = 10 * time.Second
)

// browserAddr is where a store that clients dial at addr listens for browsers; empty if there
// is no such port.
func browserAddr(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	n, err := strconv.Atoi(port)
	if err != nil || n+BrowserPorts > 65535 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(n+BrowserPorts))
}

// serveBrowsers listens for browsers until ctx ends. A store without that port is as good as
// ever for everybody else, and pages read through a gateway: so a port that is taken ends
// nothing, and is tried again.
func (st *store) serveBrowsers(ctx context.Context) error {
	s := st.server
	if s.certs == nil {
		return nil
	}
	addr, told := browserAddr(st.addr()), ""
	for addr != "" {
		err := st.serveDoor(ctx, addr)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != told {
			told = err.Error()
			s.cfg.Logger.Warn("browsers cannot read from the store; their pages read through a gateway", "store", st.disk.ID(), "addr", addr, "error", err)
		}
		select {
		case <-time.After(doorRetry):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (st *store) serveDoor(ctx context.Context, addr string) error {
	s := st.server
	door, err := browser.Listen(browser.Config{
		Addr: addr, Network: s.cfg.Network, Certs: s.certs, ResetKey: s.cfg.Identity.ResetKey(),
		Chunk: st.chunk(), Fragment: st.fragment(), Gate: st.gate, Logger: s.cfg.Logger, Grace: s.cfg.Grace,
	})
	if err != nil {
		return err
	}
	st.door.Store(door)
	defer st.door.Store(nil)
	return errors.Join(door.Serve(ctx), door.Close())
}

// browserDoor is the store's part of a heartbeat for browsers; nil where none can read, or
// where the catalog's members do not know such a field.
func (st *store) browserDoor() *wire.BrowserDoor {
	if st.door.Load() == nil || st.server.answer.level() < vstack.LevelPolicy {
		return nil
	}
	hashes, err := st.server.certs.Hashes()
	if err != nil {
		return nil
	}
	return &wire.BrowserDoor{Addr: browserAddr(st.addr()), Hashes: hashes}
}
