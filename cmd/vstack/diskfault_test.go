package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestFailingDiskOfARealProcess injects errors into the system calls of a running host,
// with strace, as a dying or full disk would answer them.
func TestFailingDiskOfARealProcess(t *testing.T) {
	long(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("SKIPPED: strace is needed to inject errors into system calls: make deps-test")
	}
	s := newScenarioOf(t, lab.Spec{Stores: 1, Superblock: 16 << 20})
	d := newDirect(s, s.lab.Hosts[1])
	for _, inject := range []string{
		"fdatasync:error=EIO",
		// Large groups are written by the one, small ones and footers by the other. Space was
		// reserved by fallocate: a write or a sync that finds none is no full disk.
		"pwrite64:error=EIO", "pwrite64:error=ENOSPC", "pwritev:error=EIO", "pwritev:error=ENOSPC", "fdatasync:error=ENOSPC",
		"ftruncate:error=EIO", "fsync:error=EIO", "fallocate:error=EIO", // when a file is full and the next is made
	} {
		t.Run(inject+" ends the process", func(t *testing.T) { d.endsBy(t, inject) })
	}
	t.Run("fallocate:error=ENOSPC is a full disk", d.full)
}

// direct speaks to one store itself, past every client that would go elsewhere.
type direct struct {
	s     *scenario
	host  *lab.Host
	store vstack.Store
	web   *http.Client
	up    vstack.Upload
	seq   uint32
	acked map[uint32]vstack.Value // slots that the store acknowledged
	lsn   vstack.LSN
	code  int // status of the last answer
}

func newDirect(s *scenario, h *lab.Host) *direct {
	s.Helper()
	id, err := identity.Load(s.lab.Client)
	if err != nil {
		s.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: id.ClientTLS()}
	s.Cleanup(tr.CloseIdleConnections)
	d := &direct{s: s, host: h, web: &http.Client{Transport: tr, Timeout: 20 * time.Second}, acked: map[uint32]vstack.Value{}}
	m, err := s.cluster.Meta.Placement(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	for _, st := range m.Stores {
		if st.Host == h.ID {
			d.store = st
		}
	}
	d.up, err = s.cluster.Meta.OpenUpload(s.Context(), wire.OpenUploadRequest{Title: "disk faults", Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		s.Fatal(err)
	}
	return d
}

// put sends a fresh chunk to the store, as the upload's owner. An error is a refusal, or
// no answer at all.
func (d *direct) put(ctx context.Context, size int) error {
	data := make([]byte, size)
	_, _ = rand.Read(data) // never fails
	m, err := d.s.cluster.Meta.Placement(ctx)
	if err != nil {
		return err
	}
	d.seq++
	slot := vstack.Slot{Video: d.up.Video, Track: 1, Seq: d.seq}
	group, _ := m.Group(slot)
	msg := message.Accept{
		Slot: slot, Epoch: group.Epoch, Upload: d.up.ID, UploadIndex: d.up.Index,
		Ballot: vstack.Ballot{Incarnation: d.up.Incarnation, Proposer: d.up.Owner},
		Value:  vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(size)},
	}
	req, err := wire.NewPaxosRequest(ctx, "https://"+d.store.Addr, msg, d.lsn, data)
	if err != nil {
		return err
	}
	resp, err := d.web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	d.code = resp.StatusCode
	reply, err := wire.ReadReply(resp, msg)
	if err != nil {
		return err
	}
	switch r := reply.(type) {
	case message.Accepted:
		d.acked[d.seq], d.lsn = r.Value, max(d.lsn, r.LSN)
		return nil
	case message.Nack:
		return r.Err()
	}
	return fmt.Errorf("answered %T", reply)
}

// holds reads back every chunk that the store ever acknowledged, and asks for its votes.
func (d *direct) holds(t *testing.T) {
	t.Helper()
	for seq, v := range d.acked {
		resp, err := d.web.Get("https://" + d.store.Addr + wire.PathChunks + v.Chunk.String())
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || vstack.ChunkIDOf(body) != v.Chunk {
			t.Errorf("acknowledged chunk of slot %d: status %d, %d bytes, %v", seq, resp.StatusCode, len(body), err)
		}
		q := message.Query{Slot: vstack.Slot{Video: d.up.Video, Track: 1, Seq: seq}}
		req, err := wire.NewPaxosRequest(t.Context(), "https://"+d.store.Addr, q, d.lsn, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err = d.web.Do(req); err != nil {
			t.Fatal(err)
		}
		reply, err := wire.ReadReply(resp, q)
		resp.Body.Close()
		if st, ok := reply.(message.SlotState); err != nil || !ok || st.Value != v {
			t.Errorf("acknowledged vote of slot %d: %+v, %v", seq, reply, err)
		}
	}
}

// endsBy puts chunks until the injected error strikes: no acknowledgement from then on,
// the process is gone within a second, and after a restart all that was acknowledged is
// there.
func (d *direct) endsBy(t *testing.T, inject string) {
	for range 3 {
		if err := d.put(t.Context(), 20_000); err != nil {
			t.Fatal(err)
		}
	}
	before := len(d.acked)
	trace := d.inject(t, inject)
	var failed error
	for range 80 { // some calls come with a new file only, and one is ready ahead: after 32 MiB at most
		if failed = d.put(t.Context(), 1_000_000); failed != nil {
			break
		}
	}
	if failed == nil {
		t.Fatal("the error never struck")
	}
	select {
	case <-d.host.Exited():
	case <-time.After(20 * time.Second):
		t.Fatalf("the process lives on after %v", failed)
	}
	if err := d.put(t.Context(), 1000); err == nil {
		t.Error("acknowledged by a process that is gone")
	}
	took := untilExit(t, trace())
	if took > 10*time.Second { // milliseconds where there is a processor for it
		t.Errorf("the process ended %v after the error", took)
	}
	d.s.step("%s: %d acknowledgements, gone %v after the error: %v", inject, len(d.acked)-before, took.Round(time.Millisecond), failed)
	if err := d.host.Start(); err != nil {
		t.Fatal(err)
	}
	d.s.ready()
	d.holds(t)
}

// untilExit is the time from the first injected error to the last thread's end, by the
// clock of strace.
func untilExit(t *testing.T, trace string) time.Duration {
	t.Helper()
	var first, last float64
	for line := range strings.Lines(trace) {
		fields := strings.Fields(line) // THREAD SECONDS …
		if len(fields) < 3 {
			continue
		}
		at, err := strconv.ParseFloat(fields[1], 64)
		switch {
		case err != nil:
		case strings.Contains(line, "(INJECTED)") && first == 0:
			first = at
		case strings.Contains(line, "+++ exited"):
			last = at
		}
	}
	if first == 0 || last == 0 {
		t.Fatalf("strace injected nothing, or saw no end:\n%s", trace)
	}
	return time.Duration((last - first) * float64(time.Second))
}

// full fills the store's last file while no other can be made.
func (d *direct) full(t *testing.T) {
	trace := d.inject(t, "fallocate:error=ENOSPC")
	var failed error
	for range 80 { // one more file was made before the disk was full
		if failed = d.put(t.Context(), 1_000_000); failed != nil {
			break
		}
	}
	if !errors.Is(failed, vstack.ErrDiskFull) || d.code != http.StatusInsufficientStorage {
		t.Fatalf("PUT to a full disk: status %d, %v", d.code, failed)
	}
	d.holds(t) // reads go on
	if d.host.Pid() == 0 {
		t.Fatal("the process ended")
	}
	d.s.step("full after %d chunks: %v", len(d.acked), failed)
	if out := trace(); !strings.Contains(out, "(INJECTED)") {
		t.Errorf("strace injected nothing:\n%s", out)
	}
	// There is room again: the store takes chunks without a restart.
	if err := d.put(t.Context(), 1_000_000); err != nil {
		t.Errorf("PUT after there was room again: %v", err)
	}
	d.holds(t)
}

// files are those of the store's log, the one that it has made ahead, and the next one's name. The Raft log of
// the same process is not among them.
func (d *direct) files(t *testing.T) []string {
	t.Helper()
	dir := d.host.Config.Data.Stores[0].Dir
	files, err := filepath.Glob(filepath.Join(dir, "*.vsb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of the store: %v, %v", files, err)
	}
	last, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(files[len(files)-1]), ".vsb"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return append(files, filepath.Join(dir, fmt.Sprintf("%08x.vsb.tmp", last+1)), filepath.Join(dir, "next.tmp"))
}

// inject attaches strace to the host: from now on every such call on the store's files
// fails. The answer detaches it, if it still runs, and returns what it saw.
func (d *direct) inject(t *testing.T, what string) (end func() string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "strace")
	call, _, _ := strings.Cut(what, ":")
	args := []string{"-f", "-y", "-ttt", "-e", "trace=" + call, "-e", "inject=" + what, "-o", out}
	for _, f := range d.files(t) {
		args = append(args, "-P", f)
	}
	cmd := exec.Command("strace", append(args, "-p", strconv.Itoa(d.host.Pid()))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	attached, drained := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(stderr)
		for n := 0; lines.Scan(); n++ {
			if n == 0 && strings.Contains(lines.Text(), "attached") {
				close(attached)
			}
		}
	}()
	done := false
	end = func() string {
		if !done {
			done = true
			_ = cmd.Process.Signal(syscall.SIGINT) // it ended with the host, or detaches
			<-drained
			_ = cmd.Wait()
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Error(err)
		}
		return string(bytes.TrimSpace(b))
	}
	t.Cleanup(func() { end() })
	select {
	case <-attached:
	case <-drained:
		t.Fatal("strace did not attach: is ptrace allowed here?")
	}
	return end
}
