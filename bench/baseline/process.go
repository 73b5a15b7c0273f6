package baseline

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/vstack/vstack/internal/vstack"
)

// The processes that are started as `EXE bench part NAME`. Each reads one line of JSON
// from its standard input, says "ready" and ends with its input.
const (
	partBare    = "bare"
	partUnvoted = "unvoted"
	partRaft    = "raft"
	partCopies  = "copies"
)

// Serve plays a part.
func Serve(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := bufio.NewReader(in)
	ready := func() {
		fmt.Fprintln(out, "ready")
		go func() { // ends with the process, at the latest
			_, _ = io.Copy(io.Discard, lines)
			cancel()
		}()
	}
	switch name {
	case partBare:
		return play(ctx, lines, ready, serveBare)
	case partUnvoted:
		return play(ctx, lines, ready, serveUnvoted)
	case partRaft:
		return play(ctx, lines, ready, serveRaft)
	case partCopies:
		return play(ctx, lines, ready, serveCopies)
	}
	return fmt.Errorf("part %.40q: %w", name, vstack.ErrNotFound)
}

// play reads the setup of a part and runs it.
func play[S any](ctx context.Context, in *bufio.Reader, ready func(), serve func(context.Context, S, func()) error) error {
	var setup S
	b, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(b, &setup)
	}
	if err != nil {
		return fmt.Errorf("read setup: %w", err)
	}
	return serve(ctx, setup, ready)
}

// process is a part that was started.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// start runs a part and returns once it is ready.
func start(exe, name string, setup any) (*process, error) {
	cmd := exec.Command(exe, "bench", "part", name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start part %s: %w", name, err)
	}
	p := &process{cmd: cmd, in: in}
	b, err := json.Marshal(setup)
	if err == nil {
		_, err = in.Write(append(b, '\n'))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set part %s up: %w", name, err), p.Close())
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("part %s said %q: %w", name, line, vstack.ErrUnavailable), p.Close())
	}
	return p, nil
}

// Pid is its process.
func (p *process) Pid() int { return p.cmd.Process.Pid }

// Close ends the process by the end of its input, and waits for it.
func (p *process) Close() error {
	err := p.in.Close()
	if werr := p.cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("part of the benchmark: %w", werr))
	}
	return err
}

func closeAll(all []*process) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
