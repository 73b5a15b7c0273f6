package abuse

import (
	"context"
	"crypto/rand"
	"io"
	"net/netip"
)

// raftSilent opens connections and says nothing.
func raftSilent(ctx context.Context, c *crew) error {
	return c.keep(ctx, 64*c.Strength, func(ctx context.Context, from netip.Addr) error {
		conn, err := c.dial(ctx, from)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = io.Copy(io.Discard, conn) // until the other side has enough
		return io.EOF
	})
}

// raftGarbage opens one connection after the other and sends noise.
func raftGarbage(ctx context.Context, c *crew) error {
	var noise [4 << 10]byte
	_, _ = rand.Read(noise[:]) // never fails: crypto/rand ends the program instead
	return c.keep(ctx, 16*c.Strength, func(ctx context.Context, from netip.Addr) error {
		conn, err := c.dial(ctx, from)
		if err != nil {
			return err
		}
		defer conn.Close()
		c.did.requests.Add(1)
		_, err = conn.Write(noise[:])
		return err
	})
}
