package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// RaftProto is followed by the cluster's genesis: members of two clusters have no
	// protocol in common.
	RaftProto  = "vstack-raft/1-"
	HelloProto = "vstack-raft-hello/1"
	// HelloTimeout bounds one hello between members that are not far apart.
	HelloTimeout = time.Second
)

// Ask has read take the hello of the member at addr; whatever listens there must have the
// certificate of id.
func (s *Streams) Ask(ctx context.Context, id, addr string, read func(io.Reader) error) error {
	if err := s.ask(ctx, id, addr, read); err != nil {
		return fmt.Errorf("ask raft member %s at %s: %w", id, addr, err)
	}
	return nil
}

func (s *Streams) ask(ctx context.Context, id, addr string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	cfg := s.cfg.ClientTLS.Clone()
	cfg.NextProtos = []string{HelloProto}
	conn, err := s.dialTLS(ctx, addr, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	name, err := s.cfg.Peer(&state)
	if err == nil && name != id {
		err = fmt.Errorf("%w: the certificate is of %q", vstack.ErrForbidden, name)
	}
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	return read(conn)
}

// sayHello answers one connection.
func (s *Streams) sayHello(conn net.Conn) error {
	b, err := s.cfg.Hello(s.Genesis())
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(s.cfg.Patience)); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	if _, err := conn.Write(b); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	return conn.Close()
}
