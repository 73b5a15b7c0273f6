package history

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

const (
	// opTimeout bounds one operation; beyond it the outcome is unknown.
	opTimeout = 6 * time.Second
	// phaseTimeout bounds one phase of ChunkPaxos: small chunks on loopback need little.
	phaseTimeout = 700 * time.Millisecond
	// resumeTimeout bounds a resume, over an election and the return of killed hosts.
	resumeTimeout = 30 * time.Second
	// maxLine bounds one line of either pipe.
	maxLine = 64 << 10
)

// setup is the first line that a client process reads.
type setup struct {
	Client string            `json:"client"` // directory of the client bundle
	Via    map[string]string `json:"via"`    // by a store's address, that of the link to it; empty: no links
}

// job is what a client process does in one history.
type job struct {
	History uint64        `json:"history"`
	Upload  vstack.Upload `json:"upload"`
	Role    role          `json:"role"`
	Slots   int           `json:"slots"`
	Seed    uint64        `json:"seed"`  // of its order and pauses
	Share   float64       `json:"share"` // of the slots that it proposes for; it reads the others
	Tag     uint64        `json:"tag"`   // of its values: clients with one tag propose the same bytes
	Width   int           `json:"width"` // operations in flight
	Pause   time.Duration `json:"pause"` // mean time between two operations of one in flight
}

// role says how a client proposes.
type role string

const (
	asOwner     role = "owner"     // round 0 is its own
	asResumed   role = "resumed"   // asks for a fresh incarnation first, and for what is chosen
	asContender role = "contender" // the classic path only
	asSettler   role = "settler"   // a contender that proposes until it knows
)

// line is what a client process writes: the call of an operation, its return, or the
// end of its job.
type line struct {
	ID   uint64 `json:"id,omitempty"`
	Op   *Op    `json:"op,omitempty"`
	Done bool   `json:"done,omitempty"`
	Err  string `json:"err,omitempty"` // why a job ended early
}

// Serve is a client process: it reads its setup and then jobs from in, one JSON value a
// line, and writes what it sees to out, until in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var s setup
	if !lines.Scan() {
		return errors.Join(fmt.Errorf("read setup: %w", io.ErrUnexpectedEOF), lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
		return fmt.Errorf("read setup: %w", err)
	}
	c, err := openClient(s, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for lines.Scan() {
		var j job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return fmt.Errorf("read job: %w", err)
		}
		end := line{Done: true}
		if err := c.run(ctx, j); err != nil {
			end.Err = err.Error()
		}
		if err := c.write(end); err != nil {
			return err
		}
	}
	return lines.Err()
}

// client is one uploader: the real chunk client, in a process of its own.
type client struct {
	meta  *metaclient.Client
	own   *quicclient.Client // proposes as the owner of its uploads
	other *quicclient.Client // proposes under a name of its own
	reads *reader

	mu  sync.Mutex // guards out and last
	out io.Writer
	id  uint64
}

func openClient(s setup, out io.Writer) (_ *client, err error) {
	conf, err := config.LoadClient(s.Client, nil, nil)
	if err != nil {
		return nil, err
	}
	id, err := identity.Load(s.Client)
	if err != nil {
		return nil, err
	}
	c := &client{out: out}
	if c.meta, err = metaclient.New(metaclient.Config{Endpoints: conf.Metastores, TLS: id.ClientTLS()}); err != nil {
		return nil, err
	}
	// The map names the stores by the links to them: everything that this client sends
	// to a store goes over one.
	placement := func(ctx context.Context) (*vstack.PlacementMap, error) {
		m, err := c.meta.Placement(ctx)
		if err != nil || len(s.Via) == 0 {
			return m, err
		}
		linked := *m
		linked.Stores = append([]vstack.Store(nil), m.Stores...)
		for i := range linked.Stores {
			addr, ok := s.Via[linked.Stores[i].Addr]
			if !ok {
				return nil, fmt.Errorf("link to store at %s: %w", linked.Stores[i].Addr, vstack.ErrNotFound)
			}
			linked.Stores[i].Addr = addr
		}
		return &linked, nil
	}
	newChunks := func(p vstack.ProposerID) (*quicclient.Client, error) {
		return quicclient.New(quicclient.Config{
			TLS: id.ClientTLS(), Placement: placement, Proposer: p,
			PhaseTimeout: phaseTimeout, HandshakeTimeout: phaseTimeout, AwaitLast: 5 * time.Millisecond, StragglerTimeout: 2 * time.Second,
		})
	}
	c.reads = newReader(id.ClientTLS(), placement)
	if c.own, err = newChunks(vstack.ProposerID{}); err == nil {
		c.other, err = newChunks(vstack.ProposerID(uuid.New()))
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *client) close() error {
	c.meta.Close()
	c.reads.close()
	var errs []error
	for _, q := range []*quicclient.Client{c.own, c.other} {
		if q != nil {
			errs = append(errs, q.Close())
		}
	}
	return errors.Join(errs...)
}

// run does one job. Its error is about the job, not about an operation.
func (c *client) run(ctx context.Context, j job) error {
	up := j.Upload
	chunks := c.own
	switch j.Role {
	case asContender, asSettler:
		chunks = c.other
	case asResumed:
		var err error
		if up, err = c.resume(ctx, up.ID); err != nil {
			return err
		}
		c.chosen(ctx, j, up)
	}
	rng := rand.New(rand.NewPCG(j.Seed, uint64(len(j.Role))))
	var g errgroup.Group
	g.SetLimit(j.Width)
	p := &proposing{c: c, j: j, chunks: chunks, up: up}
	for _, i := range rng.Perm(j.Slots) {
		seq, pause := uint32(i), time.Duration(rng.Int64N(2*int64(j.Pause)+1))
		propose, read := rng.Float64() < j.Share, rng.IntN(2) == 0
		g.Go(func() error {
			sleep.For(ctx, pause)
			if propose {
				if err := p.propose(ctx, seq); err != nil {
					return err
				}
			}
			if !propose || read {
				return c.read(ctx, j, seq)
			}
			return nil
		})
	}
	return g.Wait()
}

// resume asks the catalog until it issues an incarnation to a fresh owner.
func (c *client) resume(ctx context.Context, id vstack.UploadID) (vstack.Upload, error) {
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	for {
		// Every attempt is somebody else: one whose answer was lost may have been issued
		// the incarnation, too.
		up, err := c.meta.ResumeUpload(ctx, id, wire.ResumeUploadRequest{Owner: vstack.ProposerID(uuid.New())})
		if err == nil || ctx.Err() != nil {
			return up, err
		}
		sleep.For(ctx, 50*time.Millisecond)
	}
}

// chosen is a Read of every slot that the survey of a resumed upload shows to be chosen.
func (c *client) chosen(ctx context.Context, j job, up vstack.Upload) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	call := now()
	found, err := c.own.Chosen(ctx, up)
	end := now()
	if err != nil {
		return // it told nothing
	}
	for slot, v := range found {
		op := Op{Client: string(j.Role), Kind: Read, Seq: slot.Seq, Known: true, Got: v.Chunk, Call: call, Return: end}
		if id, err := c.called(op); err == nil {
			_ = c.returned(id, op) // a broken pipe ends the next operation
		}
	}
}

// called writes the line of a call, before anything is done.
func (c *client) called(op Op) (uint64, error) {
	op.Known, op.Got, op.Return = false, vstack.ChunkID{}, 0
	c.mu.Lock()
	c.id++
	id := c.id
	c.mu.Unlock()
	return id, c.write(line{ID: id, Op: &op})
}

func (c *client) returned(id uint64, op Op) error { return c.write(line{ID: id, Op: &op}) }

// write makes one system call a line: what was written before a SIGKILL arrives.
func (c *client) write(l line) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode line: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.out.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write line: %w", err)
	}
	return nil
}

// now is the machine's monotonic clock: one for all processes.
func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // EFAULT and EINVAL only, by the arguments above
	}
	return ts.Nano()
}
