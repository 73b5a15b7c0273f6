package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/bench/scrape"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// messageChunks is how many uncontended chunks are counted.
const messageChunks = 100

// runMessages counts, for chunks committed one after the other, the ChunkPaxos
// messages that the stores handled and the fdatasyncs that the kernel saw on their
// files.
func runMessages(ctx context.Context, opt Options) (_ []report.Row, err error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil, fmt.Errorf("strace: %w: install it to count system calls: %v", vstack.ErrUnavailable, err)
	}
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	up, err := c.OpenUpload(ctx, "messages")
	if err != nil {
		return nil, err
	}
	if _, err := up.Fill(ctx, 8, 64<<10); err != nil { // connections and first superblocks
		return nil, err
	}
	traces := make([]*trace, len(c.Lab.Hosts))
	for i, h := range c.Lab.Hosts {
		if traces[i], err = traceSyncs(opt.Dir, h); err != nil {
			return nil, err
		}
		defer traces[i].stop()
	}
	before, err := received(ctx, c)
	if err != nil {
		return nil, err
	}
	for range messageChunks {
		if err := up.Put(ctx, c.Chunks, up.Slot(), rig.RandomChunk(64<<10)); err != nil {
			return nil, err
		}
	}
	after, err := received(ctx, c)
	if err != nil {
		return nil, err
	}
	// Every handled request is one message in and one answer out.
	rows := []report.Row{report.Figure("messages", "messages a chunk", "messages", 2*(after-before)/messageChunks, report.Exactly(6))}
	total := 0
	for i, t := range traces {
		n, err := t.stop()
		if err != nil {
			return nil, err
		}
		total += n
		rows = append(rows, report.Figure("messages", fmt.Sprintf("fdatasync on %s a chunk (strace)", c.Lab.Hosts[i].ID), "calls",
			float64(n)/messageChunks, report.AtMost(1)))
	}
	if total == 0 {
		return nil, fmt.Errorf("strace saw no fdatasync: %w", vstack.ErrUnavailable)
	}
	return rows, nil
}

// paxosRequests counts the PUTs, prepares and accepts that a store handled.
const paxosRequests = "vstack_datanode_paxos_requests_total"

// received adds the stores' counters of ChunkPaxos requests up.
func received(ctx context.Context, c *rig.Cluster) (float64, error) {
	sum := 0.0
	for _, h := range c.Lab.Hosts {
		// One registry a process: any of its stores shows all of them.
		f, err := scrape.From(ctx, c.ID.ClientTLS(), h.Config.Data.Stores[0].Addr)
		if err != nil {
			return 0, err
		}
		sum += f.Counter(paxosRequests)
	}
	return sum, nil
}

// trace is an strace of one host's synchronisation calls.
type trace struct {
	cmd  *exec.Cmd
	out  string
	done bool
	n    int
	err  error
}

// traceSyncs attaches strace to a host and returns once it is attached.
func traceSyncs(dir string, h *lab.Host) (*trace, error) {
	t := &trace{out: filepath.Join(dir, "strace-"+string(h.ID)+".txt")}
	t.cmd = exec.Command("strace", "-f", "-y", "-e", "trace=fdatasync,fsync", "-o", t.out, "-p", strconv.Itoa(h.Pid()))
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := t.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("strace host %s: %w", h.ID, err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "attached") {
			go func() { // strace goes on to name each thread it meets
				for lines.Scan() {
				}
			}()
			return t, nil
		}
	}
	_, err = t.stop()
	return nil, errors.Join(fmt.Errorf("strace host %s: %w: it did not attach", h.ID, vstack.ErrUnavailable), err)
}

// stop detaches and counts the calls on files of the stores; Raft's own log is not
// part of a chunk's cost. Idempotent.
func (t *trace) stop() (int, error) {
	if t.done {
		return t.n, t.err
	}
	t.done = true
	if err := t.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.err = fmt.Errorf("detach strace: %w", err)
		return 0, t.err
	}
	_ = t.cmd.Wait() // it ends by the signal
	body, err := os.ReadFile(t.out)
	if err != nil {
		t.err = fmt.Errorf("read trace: %w", err)
		return 0, t.err
	}
	for line := range strings.Lines(string(body)) {
		if strings.Contains(line, "/stores/") && strings.Contains(line, "sync(") {
			t.n++
		}
	}
	return t.n, errors.Join(t.err, os.Remove(t.out))
}
