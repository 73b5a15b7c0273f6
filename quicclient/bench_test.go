package quicclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/vstack"
)

// BenchmarkFetch compares verified reads of 2 MiB chunks from one store with a bare
// HTTP/3 client that throws the same bytes away.
func BenchmarkFetch(b *testing.B) {
	c := newCluster(b, 1)
	data := chunkOf(1, vstack.ChunkSize)
	ref := c.put(data, 0)
	for _, inFlight := range []int{1, 4} {
		b.Run(fmt.Sprintf("bare-%d", inFlight), func(b *testing.B) {
			tr := &http3.Transport{TLSClientConfig: c.stores[0].ident.ClientTLS(), DisableCompression: true}
			defer tr.Close()
			client := &http.Client{Transport: tr}
			repeat(b, inFlight, func() error {
				resp, err := client.Get("https://" + c.stores[0].addr + "/v1/chunks/" + ref.ID.String())
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
				return err
			})
		})
		b.Run(fmt.Sprintf("client-%d", inFlight), func(b *testing.B) {
			cl := c.client(nil)
			repeat(b, inFlight, func() error {
				got, err := cl.Fetch(context.Background(), testSlot(1), ref)
				got.Release()
				return err
			})
		})
	}
}

// repeat runs f b.N times, inFlight at once.
func repeat(b *testing.B, inFlight int, f func() error) {
	b.SetBytes(vstack.ChunkSize)
	if err := f(); err != nil { // connects
		b.Fatal(err)
	}
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, inFlight)
	for range inFlight {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = f()
			}
			done <- err
		}()
	}
	for range inFlight {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
