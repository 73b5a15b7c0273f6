package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/vstack/vstack/bench/history"
	"github.com/vstack/vstack/internal/vstack"
)

// The processes that scenarios start besides hosts, as `EXE bench part NAME`. Each reads
// what it needs from its standard input and ends with it.
const (
	partSlotClient = "slot-client" // an uploader of package history
	partUnvoted    = "unvoted"     // a datanode without consensus
	partRaft       = "raft"        // a Raft member of the metastore's make
)

// Part is such a process.
func Part(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	if name == partSlotClient {
		return history.Serve(ctx, in, out)
	}
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
	case partUnvoted:
		var conf unvotedSetup
		if err := readSetup(lines, &conf); err != nil {
			return err
		}
		return serveUnvoted(ctx, conf, ready)
	case partRaft:
		var conf raftSetup
		if err := readSetup(lines, &conf); err != nil {
			return err
		}
		return serveRaft(ctx, conf, ready)
	}
	return fmt.Errorf("part %.40q: %w", name, vstack.ErrNotFound)
}

// readSetup reads the one line of JSON that a part is told.
func readSetup(in *bufio.Reader, v any) error {
	b, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("read setup: %w", err)
	}
	return nil
}

// partArgs are the arguments that have the program play a part.
func partArgs(name string) []string { return []string{"bench", "part", name} }

// partProcess is a part that was started.
type partProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// startPart runs a part and returns once it is ready.
func startPart(exe, name string, conf any) (*partProcess, error) {
	cmd := exec.Command(exe, partArgs(name)...)
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
	p := &partProcess{cmd: cmd, in: in}
	b, err := json.Marshal(conf)
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

// Close ends the process by the end of its input, and waits for it.
func (p *partProcess) Close() error {
	err := p.in.Close()
	if werr := p.cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("part of the benchmark: %w", werr))
	}
	return err
}

func closeParts(all []*partProcess) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
