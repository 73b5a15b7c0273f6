package rig

import (
	"context"
	"errors"
	"time"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/deploy/config"

	"github.com/vstack/vstack/bench/lab"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// Config says where the measured lab is.
type Config struct {
	// Dir is on the disk to measure; the lab is in a fresh directory under it. Required.
	Dir string
	// Exe is the vstack program that runs the hosts. Required.
	Exe string
	// FirstIP is the first of the hosts' three loopback addresses. Required.
	FirstIP string
	// Superblock is the size of the stores' files; 0 is the default of a host.
	Superblock config.Size
}

// Cluster is the measured lab: real host processes, and the clients of one uploader.
type Cluster struct {
	Config Config
	Lab    *lab.Lab
	ID     *identity.Identity
	Meta   *metaclient.Client
	Chunks *quicclient.Client
}

// Open starts a lab of three hosts under conf.Dir.
func Open(ctx context.Context, conf Config, transport quicclient.WriteTransport) (_ *Cluster, err error) {
	c := &Cluster{Config: conf}
	spec := lab.Spec{Spec: deploy.Spec{FirstIP: conf.FirstIP, LogLevel: "warn", Superblock: conf.Superblock}, Under: conf.Dir}
	if c.Lab, err = lab.Init(ctx, spec); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	admin, err := c.Lab.Serve(ctx, conf.Exe)
	if err != nil {
		return nil, err
	}
	c.ID, c.Meta = admin.ID, admin.Meta
	c.Chunks, err = c.NewClient(transport)
	return c, err
}

// NewClient makes another client of the same cluster. It waits for the third
// copy as long as it takes: a benchmark of three copies must not count two.
func (c *Cluster) NewClient(transport quicclient.WriteTransport) (*quicclient.Client, error) {
	return quicclient.New(quicclient.Config{TLS: c.ID.ClientTLS(), Placement: c.Meta.Placement, WriteTransport: transport, AwaitLast: 10 * time.Second})
}

// NewWideClient makes a client for many small commits: with conns connections, as many as may be in
// flight, and nobody is left behind uncounted.
func (c *Cluster) NewWideClient(conns int, p vstack.ProposerID) (*quicclient.Client, error) {
	return quicclient.New(quicclient.Config{
		TLS: c.ID.ClientTLS(), Placement: c.Meta.Placement, Proposer: p, WriteConns: conns, AwaitLast: 10 * time.Second,
	})
}

// Close stops the hosts and removes their data.
func (c *Cluster) Close() error {
	var errs []error
	if c.Chunks != nil {
		errs = append(errs, c.Chunks.Close())
	}
	if c.Meta != nil {
		c.Meta.Close()
	}
	return errors.Join(append(errs, c.Lab.Close())...)
}

// Site is where baselines run beside the cluster.
func (c *Cluster) Site() baseline.Site {
	return baseline.Site{Exe: c.Config.Exe, Dir: c.Config.Dir, Lab: c.Lab.Lab, TLS: c.ID.ClientTLS()}
}

// Pids are the hosts' processes.
func (c *Cluster) Pids() []int {
	pids := make([]int, len(c.Lab.Hosts))
	for i, h := range c.Lab.Hosts {
		pids[i] = h.Pid()
	}
	return pids
}

// PidOf is the process of the host that has a store.
func (c *Cluster) PidOf(store string) int {
	for _, h := range c.Lab.Hosts {
		for _, s := range h.Config.Data.Stores {
			if s.Addr == store {
				return h.Pid()
			}
		}
	}
	return 0
}
