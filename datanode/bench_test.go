package datanode

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// BenchmarkGet reads 2 MiB chunks from one store, and beside it the same bytes from a
// bare server that has them in memory: the ratio is what the store costs.
//
//	go test ./datanode -run - -bench Get -benchtime 3s
func BenchmarkGet(b *testing.B) {
	dir := b.TempDir()
	ca, err := identity.CreateCA(dir + "/ca")
	if err != nil {
		b.Fatal(err)
	}
	if err := ca.Issue(dir+"/h1", identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}, ValidFor: time.Hour}); err != nil {
		b.Fatal(err)
	}
	id, err := identity.Load(dir + "/h1")
	if err != nil {
		b.Fatal(err)
	}
	const chunks = 16
	refs, bodies := seed(b, dir+"/store", chunks)
	s, err := Open(b.Context(), Config{
		Host: "h1", Stores: []StoreConfig{{Dir: dir + "/store", Addr: "127.0.0.1:0"}}, Identity: id,
		Meta: newMetastore(), Peers: &peers{}, Logger: slog.New(slog.DiscardHandler), Grace: time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	bareH3, bareTCP := bare(b, id, refs, bodies)
	b.Cleanup(func() { cancel(); wg.Wait(); _ = s.Close() })

	for _, proto := range []string{"h3", "tcp"} {
		for _, inFlight := range []int{1, 4, 100} {
			targets := map[string]string{"bare": bareH3, "store": s.Stores()[0].Addr}
			if proto == "tcp" {
				targets["bare"] = bareTCP
			}
			for _, name := range []string{"bare", "store"} {
				b.Run(proto+"/"+strconv.Itoa(inFlight)+"/"+name, func(b *testing.B) {
					load(b, clientOf(b, id, proto), targets[name], refs, inFlight)
					if name == "store" {
						p99 := s.stores[0].latency.Quantile(time.Now(), 0.99)
						b.ReportMetric(float64(p99.Microseconds())/1000, "ms-first-byte-p99")
					}
				})
			}
		}
	}
}

// seed writes random chunks into a store's directory.
func seed(b *testing.B, dir string, n int) (refs []vstack.ChunkRef, bodies map[string][]byte) {
	b.Helper()
	disk, err := superblock.Open(b.Context(), superblock.Config{Dir: dir, SuperblockSize: 64 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	bodies = map[string][]byte{}
	for range n {
		data := random(vstack.ChunkSize)
		v := vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}
		if _, err := disk.Append(b.Context(), superblock.Record{Kind: superblock.KindChunk, Value: v, Data: data}); err != nil {
			b.Fatal(err)
		}
		refs = append(refs, vstack.ChunkRef{ID: v.Chunk, Size: v.Size})
		bodies["/v1/chunks/"+v.Chunk.String()] = data
	}
	if err := disk.Close(); err != nil {
		b.Fatal(err)
	}
	return refs, bodies
}

// bare serves the bodies from memory with nothing around, over h3 and over TLS.
func bare(b *testing.B, id *identity.Identity, _ []vstack.ChunkRef, bodies map[string][]byte) (h3Addr, tcpAddr string) {
	b.Helper()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodies[r.URL.Path]
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	h3 := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(id.ServerTLS())}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	h1 := &http.Server{Handler: handler, TLSConfig: id.ServerTLS()}
	var wg sync.WaitGroup
	wg.Go(func() { _ = h3.Serve(udp) })
	wg.Go(func() { _ = h1.ServeTLS(tcp, "", "") })
	b.Cleanup(func() { _, _, _ = h3.Close(), h1.Close(), udp.Close(); wg.Wait() })
	return udp.LocalAddr().String(), tcp.Addr().String()
}

func clientOf(b *testing.B, id *identity.Identity, proto string) *http.Client {
	b.Helper()
	if proto == "h3" {
		tr := &http3.Transport{TLSClientConfig: id.ClientTLS(), QUICConfig: &quic.Config{
			InitialStreamReceiveWindow: 4 << 20, InitialConnectionReceiveWindow: 16 << 20,
			MaxStreamReceiveWindow: 8 << 20, MaxConnectionReceiveWindow: 32 << 20}}
		b.Cleanup(func() { _ = tr.Close() })
		return &http.Client{Transport: tr}
	}
	tr := &http.Transport{TLSClientConfig: id.ClientTLS(), ReadBufferSize: 64 << 10}
	b.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func load(b *testing.B, c *http.Client, addr string, refs []vstack.ChunkRef, inFlight int) {
	b.SetBytes(int64(refs[0].Size))
	todo := make(chan string)
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			for url := range todo {
				resp, err := c.Get(url)
				if err != nil {
					b.Error(err)
					continue
				}
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buf)
				_ = resp.Body.Close()
				if err != nil || n != int64(refs[0].Size) {
					b.Errorf("%s: %d bytes, %v", url, n, err)
				}
			}
		})
	}
	b.ResetTimer()
	for i := range b.N {
		todo <- "https://" + addr + "/v1/chunks/" + refs[i%len(refs)].ID.String()
	}
	close(todo)
	wg.Wait()
}

// BenchmarkReadAt is the disk's part of a read: page cache, checksums, no network.
func BenchmarkReadAt(b *testing.B) {
	dir := b.TempDir()
	refs, _ := seed(b, dir, 16)
	disk, err := superblock.Open(b.Context(), superblock.Config{Dir: dir, SuperblockSize: 64 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer disk.Close()
	buf := make([]byte, vstack.ChunkSize)
	b.SetBytes(vstack.ChunkSize)
	for i := 0; b.Loop(); i++ {
		if _, err := disk.ReadAt(b.Context(), refs[i%len(refs)].ID, buf, 0); err != nil {
			b.Fatal(err)
		}
	}
}
