package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// process is a client process as Run holds it, and its links.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	links links
	ended chan struct{} // closed when its output ended

	mu   sync.Mutex // guards all below
	work *work
}

// work is a job under way, or the last one.
type work struct {
	name string
	done chan struct{} // closed when the job ended, by itself or with its process
	step chan struct{} // closed, and replaced, whenever an operation returns

	mu       sync.Mutex // guards all below
	ops      map[uint64]Op
	returned int
	err      error
}

// startProcess runs a client whose ways to the stores are links of its own.
func startProcess(opt Options, clientDir string, stores []string) (_ *process, err error) {
	p := &process{ended: make(chan struct{})}
	if p.links, err = openLinks(stores); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(opt.Exe, opt.Args...)
	p.cmd.Env = append(os.Environ(), opt.Env...)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, p.links.Close())
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, p.links.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start client: %w", err), p.links.Close())
	}
	go p.listen(out)
	if err := p.send(setup{Client: clientDir, Via: p.links.via()}); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// send writes one line to the process.
func (p *process) send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode line: %w", err)
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write to client: %w", err)
	}
	return nil
}

// begin gives the process a job; it must have none.
func (p *process) begin(name string, j job) (*work, error) {
	w := &work{name: name, done: make(chan struct{}), step: make(chan struct{}), ops: map[uint64]Op{}}
	p.mu.Lock()
	p.work = w
	p.mu.Unlock()
	if err := p.send(j); err != nil {
		return nil, err
	}
	return w, nil
}

// listen takes what the process writes, until it ends.
func (p *process) listen(out io.Reader) {
	defer close(p.ended)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var l line
		// What does not parse is the torn last line of a killed process: nothing happened
		// after a call that was not written, and a return that was not is unknown.
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			break
		}
		p.mu.Lock()
		w := p.work
		p.mu.Unlock()
		if w == nil {
			continue
		}
		w.take(l)
	}
	_, _ = io.Copy(io.Discard, out)
	p.mu.Lock()
	w := p.work
	p.mu.Unlock()
	if w != nil {
		w.take(line{Done: true})
	}
}

// take notes one line of the process.
func (w *work) take(l line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.done:
		return
	default:
	}
	if l.Op != nil {
		op := *l.Op
		op.Client = w.name
		w.ops[l.ID] = op
		if op.Return > 0 {
			w.returned++
			close(w.step)
			w.step = make(chan struct{})
		}
	}
	if l.Done {
		if l.Err != "" {
			w.err = fmt.Errorf("client %s: %w: %s", w.name, vstack.ErrUnavailable, l.Err)
		}
		close(w.done)
	}
}

// reached returns when n operations have returned, or the job has ended.
func (w *work) reached(n int) {
	for {
		w.mu.Lock()
		step, enough := w.step, w.returned >= n
		w.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-step:
		case <-w.done:
			return
		}
	}
}

// result is what the client saw, once the job has ended.
func (w *work) result() ([]Op, error) {
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Op, 0, len(w.ops))
	for _, op := range w.ops {
		if !op.Known {
			op.Return = math.MaxInt64
		}
		out = append(out, op)
	}
	return out, w.err
}

// kill ends the process by SIGKILL.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	return p.reap()
}

// close ends the process by the end of its input.
func (p *process) close() error { return p.reap() }

func (p *process) reap() error {
	// Until its links let go, its requests would hang.
	err := errors.Join(p.in.Close(), p.links.Close())
	<-p.ended
	_ = p.cmd.Wait() // its exit status says nothing that its output did not
	return err
}
