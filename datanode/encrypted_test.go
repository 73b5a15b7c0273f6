package datanode

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// encryptedFirst has h1's store be encrypted.
func encryptedFirst(dir string) func(*Config) {
	return func(cfg *Config) {
		if cfg.Host == "h1" {
			cfg.Encrypt = true
			cfg.Keys = keyfile.New(keyfile.Wrapping{Identity: filepath.Join(dir, "age.key"), MakeIdentity: true})
		}
		cfg.CacheMemory = -1 // every read is of the disk
	}
}

// TestAnEncryptedStoreBesidePlainOnes takes, serves, heals and opens again what the others do,
// and has no plain bytes on its disk.
func TestAnEncryptedStoreBesidePlainOnes(t *testing.T) {
	c := newCluster(t, encryptedFirst(t.TempDir()))
	u := c.open()
	first, plain := c.nodes[0], c.nodes[1]
	bodies := [][]byte{random(2 << 20), random(70_001), random(1)}
	var refs []vstack.ChunkRef
	for i, body := range bodies {
		refs = append(refs, c.put(u, uint32(i), body, c.nodes...))
	}
	healed := random(300_000) // comes by repair
	refs = append(refs, c.put(u, uint32(len(bodies)), healed, c.nodes[1:]...))
	bodies = append(bodies, healed)
	c.publish(u, refs...)
	waitFor(t, func() bool { return first.has(refs[3]) })
	check := func() {
		t.Helper()
		for i, ref := range refs {
			path := wire.PathChunks + ref.ID.String()
			if resp, body := first.get(path, nil); resp.StatusCode != http.StatusOK || !bytes.Equal(body, bodies[i]) {
				t.Errorf("chunk %d: %d, %d bytes", i, resp.StatusCode, len(body))
			}
			if i == 0 {
				if resp, body := first.get(path, map[string]string{"Range": "bytes=65530-131080"}); resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, bodies[0][65530:131081]) {
					t.Errorf("a range: %d, %d bytes", resp.StatusCode, len(body))
				}
			}
		}
	}
	check()
	holds := func(n *node) (out []string) {
		files, err := filepath.Glob(n.dataDir() + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for i, body := range bodies {
				if len(body) > 1 && (bytes.Contains(b, body[:32]) || bytes.Contains(b, body[len(body)/2:len(body)/2+32])) {
					out = append(out, fmt.Sprintf("%d in %s", i, filepath.Base(f)))
				}
			}
		}
		return out
	}
	if got := holds(first); len(got) > 0 {
		t.Errorf("plain bytes in the encrypted store: %v", got)
	}
	if len(holds(plain)) == 0 {
		t.Error("the plain store holds none: is the search right?")
	}
	first.stop()
	first.start()
	first.ready()
	check()
}

// TestCostOfEncryption writes the same chunks to an encrypted store and to a plain one, and reads
// them, in turn, and logs the medians. VSTACK_COST_CHUNKS is how many, of 2 MiB; default 128.
func TestCostOfEncryption(t *testing.T) {
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: it measures; set VSTACK_SOAK=1 and -v")
	}
	c := newCluster(t, encryptedFirst(t.TempDir()))
	u := c.open()
	sealed, plain := c.nodes[0], c.nodes[1]
	chunks := 128
	if v := os.Getenv("VSTACK_COST_CHUNKS"); v != "" {
		var err error
		if chunks, err = strconv.Atoi(v); err != nil || chunks < 1 {
			t.Fatalf("VSTACK_COST_CHUNKS=%s", v)
		}
	}
	var refs []vstack.ChunkRef
	// ratios of the plain store's time to the encrypted one's: the part of its speed.
	tell := func(what string, rounds int, one func(n *node, round int)) {
		var ratios, ours, theirs []float64
		for i := range rounds {
			order := []*node{sealed, plain}
			if i%2 == 1 {
				order = []*node{plain, sealed}
			}
			took := map[*node]float64{}
			for _, n := range order {
				began := time.Now()
				one(n, i)
				took[n] = time.Since(began).Seconds()
			}
			ratios, ours, theirs = append(ratios, took[plain]/took[sealed]), append(ours, took[sealed]), append(theirs, took[plain])
		}
		for _, v := range [][]float64{ratios, ours, theirs} {
			slices.Sort(v)
		}
		n := len(ratios)
		t.Logf("%s: encrypted %.2f ms, plain %.2f ms; %.3f of its speed (median of %d pairs, quartiles %.3f and %.3f)",
			what, ours[n/2]*1e3, theirs[n/2]*1e3, ratios[n/2], n, ratios[n/4], ratios[3*n/4])
	}
	body := random(2 << 20)
	tell("PUT of 2 MiB", chunks, func(n *node, round int) {
		copy(body, fmt.Sprintf("%8d", round))
		ref := c.put(u, uint32(round), body, n)
		if len(refs) <= round {
			refs = append(refs, ref)
		}
	})
	for _, proto := range []string{"HTTP/3.0", "HTTP/1.1"} {
		client := c.http(t, proto, false)
		read := func(n *node, ref vstack.ChunkRef) {
			resp, err := client.Get("https://" + n.addr + wire.PathChunks + ref.ID.String())
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.Copy(io.Discard, resp.Body); err != nil || got != 2<<20 {
				t.Errorf("%d, %d bytes, %v", resp.StatusCode, got, err)
			}
		}
		read(sealed, refs[0])
		read(plain, refs[0])
		name := strings.Replace(proto, "HTTP/1.1", "TLS", 1)
		tell(name+" GET of 2 MiB, one at a time", chunks, func(n *node, round int) { read(n, refs[round]) })
		tell(fmt.Sprintf("%s GET of all %d, four at a time", name, chunks), 12, func(n *node, _ int) {
			var wg sync.WaitGroup
			for w := range 4 {
				wg.Go(func() {
					for i := w; i < chunks; i += 4 {
						read(n, refs[i])
					}
				})
			}
			wg.Wait()
		})
	}
}
