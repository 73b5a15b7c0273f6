package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Copies is a copies host beside each host of the lab, with a file for each of its stores, and
// a net/http client.
type Copies struct {
	hosts  []*process
	client *http.Transport
	dir    string
	// addrs are of each store's file: first stores of all hosts, then second ones.
	addrs [][]string
}

// StartCopies runs the hosts.
func (s Site) StartCopies() (_ *Copies, err error) {
	c := &Copies{dir: filepath.Join(s.Dir, "copies"), client: &http.Transport{
		TLSClientConfig: s.TLS.Clone(), DisableCompression: true, MaxIdleConnsPerHost: 64, ReadBufferSize: 64 << 10,
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := os.MkdirAll(c.dir, 0o750); err != nil {
		return nil, err
	}
	for _, h := range s.Lab.Hosts {
		conf := copiesSetup{TLS: filepath.Join(h.Dir, "tls"), Files: map[string]string{}}
		for i, st := range h.Config.Data.Stores {
			addr, err := twin(st.Addr)
			if err != nil {
				return nil, err
			}
			conf.Files[addr] = filepath.Join(c.dir, string(h.ID)+"-"+strconv.Itoa(i+1))
			if i == len(c.addrs) {
				c.addrs = append(c.addrs, nil)
			}
			c.addrs[i] = append(c.addrs[i], addr)
		}
		p, err := start(s.Exe, partCopies, conf)
		if err != nil {
			return nil, err
		}
		c.hosts = append(c.hosts, p)
	}
	return c, nil
}

// Pids are the hosts' processes.
func (c *Copies) Pids() []int {
	pids := make([]int, len(c.hosts))
	for i, h := range c.hosts {
		pids[i] = h.Pid()
	}
	return pids
}

// Put hashes a chunk, as whoever names it must, and writes it to a file of each host. n
// chooses the files.
func (c *Copies) Put(ctx context.Context, n int, data []byte) error {
	id := vstack.ChunkIDOf(data)
	var g errgroup.Group
	for _, addr := range c.addrs[n%len(c.addrs)] {
		g.Go(func() error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://"+addr+wire.PathChunks+id.String(), bytes.NewReader(data))
			if err != nil {
				return err
			}
			resp, err := c.client.RoundTrip(req)
			if err != nil {
				return fmt.Errorf("PUT to %s: %w", addr, err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("PUT to %s: %w: status %s", addr, vstack.ErrInternal, resp.Status)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		})
	}
	return g.Wait()
}

// Addr is where a copy of what was written as n is read.
func (c *Copies) Addr(n int) string {
	hosts := c.addrs[n%len(c.addrs)]
	return hosts[n/len(c.addrs)%len(hosts)]
}

// Close ends client and hosts, and removes the files.
func (c *Copies) Close() error {
	c.client.CloseIdleConnections()
	return errors.Join(closeAll(c.hosts), os.RemoveAll(c.dir))
}
