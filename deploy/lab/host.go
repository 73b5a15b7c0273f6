package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

// maxLog is the size beyond which a host's log is moved aside at its next start.
const maxLog = 16 << 20

// Host is one host of a lab. Its methods may be called from several goroutines.
type Host struct {
	ID     vstack.HostID
	Dir    string
	Config *config.Server
	// NetNS is the file of the network namespace in which the host runs; empty: that of
	// this process. Set it before Lab.Start.
	NetNS string
	// OnStart, when set, is told the process of each run as soon as there is one; an error
	// ends that run. Set it before Lab.Start.
	OnStart func(pid int) error
	// Outside says that its metastore is no member of the metadata cluster, so that it
	// cannot become ready. Not to be changed during Lab.Ready.
	Outside bool

	mu   sync.Mutex // guards the fields below; not held while waiting for an exit
	exe  string
	env  []string
	proc *process
	// down says that the last run was ended on purpose, by Kill or Stop.
	down bool
}

// process is one run of a host.
type process struct {
	pid  int
	done chan struct{} // closed after the exit was collected
	err  error         // of Wait; read after done
}

// Log is the file that collects the host's standard error over all its runs.
func (h *Host) Log() string { return filepath.Join(h.Dir, "log") }

// Addr is the address that others dial, without a port.
func (h *Host) Addr() string {
	addr, _, err := net.SplitHostPort(h.Config.Ingest.Addr)
	if err != nil {
		return h.Config.Ingest.Addr
	}
	return addr
}

// Pid is the process id, or 0 when the host does not run.
func (h *Host) Pid() int {
	if p := h.running(); p != nil {
		return p.pid
	}
	return 0
}

// Exited is closed once the current run has ended; nil when the host was never started.
func (h *Host) Exited() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc == nil {
		return nil
	}
	return h.proc.done
}

// Kill ends the host and everything it started with SIGKILL, as a power cut would,
// and waits for the exit.
func (h *Host) Kill() error {
	h.expectExit()
	return h.signal(syscall.SIGKILL, true)
}

// Pause stops the host from running with SIGSTOP, as a stalled virtual machine would.
func (h *Host) Pause() error { return h.signal(syscall.SIGSTOP, false) }

// Resume ends a Pause.
func (h *Host) Resume() error { return h.signal(syscall.SIGCONT, false) }

// Stop asks the host to end with SIGTERM, waits for its grace period, then kills it.
// A host that does not run is stopped already.
func (h *Host) Stop() error {
	p := h.running()
	if p == nil {
		return nil
	}
	h.expectExit()
	// A paused process would never see the SIGTERM.
	_ = syscall.Kill(p.pid, syscall.SIGCONT)
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop host %s: %w", h.ID, err)
	}
	grace := time.NewTimer(h.Config.Grace + 5*time.Second)
	defer grace.Stop()
	select {
	case <-p.done:
	case <-grace.C:
		return errors.Join(fmt.Errorf("stop host %s: %w: did not end within %v of SIGTERM, killed", h.ID, vstack.ErrTimeout, h.Config.Grace+5*time.Second), h.Kill())
	}
	// What a well-behaved host leaves in its group is nothing; an ffmpeg that lost its
	// parent must not stay.
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	return nil
}

// Start runs the host again after Kill or Stop, or for the first time after Lab.Add,
// with the program of Lab.Start. Lab.Ready tells when it serves.
func (h *Host) Start() error {
	exe, env := h.program()
	if exe == "" {
		return fmt.Errorf("start host %s: %w: the lab was never started", h.ID, vstack.ErrInvalid)
	}
	return h.start(exe, env)
}

// Use sets the program of the next start.
func (h *Host) Use(exe string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.exe = exe
}

// program is what the host runs, and its environment.
func (h *Host) program() (exe string, env []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.exe, h.env
}

// Restart is Stop and Start.
func (h *Host) Restart() error {
	if err := h.Stop(); err != nil {
		return err
	}
	return h.Start()
}

// LogTail returns the last lines of the log, for an error message.
func (h *Host) LogTail(lines int) string {
	f, err := os.Open(h.Log())
	if err != nil {
		return ""
	}
	defer f.Close()
	const tail = 16 << 10
	buf := make([]byte, tail)
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	n, _ := f.ReadAt(buf, max(0, st.Size()-tail)) // a short read is what there is
	all := strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// start runs exe on a thread of its own: PR_SET_PDEATHSIG fires when the *thread* that
// forked ends, so that thread has to live as long as the child.
func (h *Host) start(exe string, env []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc != nil && !h.proc.ended() {
		return fmt.Errorf("start host %s: %w: runs as process %d", h.ID, vstack.ErrAlreadyExists, h.proc.pid)
	}
	log, err := h.openLog()
	if err != nil {
		return fmt.Errorf("start host %s: %w", h.ID, err)
	}
	defer log.Close() // the child has its own descriptor
	cmd := exec.Command(exe, "server", "--config", filepath.Join(h.Dir, config.File))
	cmd.Dir = h.Dir
	cmd.Env = append(hostEnv(os.Environ()), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := h.enter()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil && h.OnStart != nil {
			if err = h.OnStart(cmd.Process.Pid); err != nil {
				_ = cmd.Process.Kill() // it has done nothing yet
				_ = cmd.Wait()
			}
		}
		if err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		// For people who kill a host by hand; nothing here reads it.
		noted := os.WriteFile(h.pidFile(), []byte(strconv.Itoa(p.pid)+"\n"), 0o644)
		started <- nil
		p.err = cmd.Wait()
		if noted == nil {
			_ = os.Remove(h.pidFile()) // the process it names is no more
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start host %s: %w", h.ID, err)
	}
	h.exe, h.env, h.proc, h.down = exe, env, p, false
	return nil
}

func (h *Host) pidFile() string { return filepath.Join(h.Dir, "pid") }

func (h *Host) openLog() (*os.File, error) {
	if st, err := os.Stat(h.Log()); err == nil && st.Size() > maxLog {
		if err := os.Rename(h.Log(), h.Log()+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(h.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}

// hostEnv drops VSTACK_*: what configures the person's command must not reach into
// the hosts' files.
func hostEnv(environ []string) []string {
	var out []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "VSTACK_") {
			out = append(out, kv)
		}
	}
	return out
}

func (h *Host) expectExit() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = true
}

// crashed describes a run that ended by itself; nil while the host runs, and after it
// was ended on purpose.
func (h *Host) crashed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc == nil || h.down || !h.proc.ended() {
		return nil
	}
	return fmt.Errorf("host %s: %w: %v; the end of %s:\n%s", h.ID, errHostEnded, h.proc.err, h.Log(), h.LogTail(12))
}

func (h *Host) running() *process {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc == nil || h.proc.ended() {
		return nil
	}
	return h.proc
}

// signal reaches the whole group, so that an ffmpeg shares its host's fate.
func (h *Host) signal(sig syscall.Signal, wait bool) error {
	p := h.running()
	if p == nil {
		return fmt.Errorf("signal host %s: %w: it does not run", h.ID, vstack.ErrNotFound)
	}
	if err := syscall.Kill(-p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal host %s: %w", h.ID, err)
	}
	if wait {
		<-p.done
	}
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
