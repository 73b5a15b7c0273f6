package hostcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxOutput is how much of a command's output an error carries.
	maxOutput = 2 << 10
	// pipeDelay is how long after a command's end its output may stay open.
	pipeDelay = time.Second
)

// run runs one command by the shell, in a process group of its own: Ctrl-C at the
// terminal is for the drill, which then mends what it has hurt.
func run(ctx context.Context, text string, timeout time.Duration, env []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: it took more than %v", vstack.ErrTimeout, timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", text)
	cmd.Env = append(environ(os.Environ()), env...)
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeDelay
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		err = fmt.Errorf("%w: the command has ended, and what it left running holds its output: redirect that, as in >/dev/null 2>&1", vstack.ErrInvalid)
	}
	if said := strings.TrimSpace(string(out.text)); said != "" {
		return fmt.Errorf("command %q: %w; it said: %s", text, err, said)
	}
	return fmt.Errorf("command %q: %w", text, err)
}

// environ drops VSTACK_*: what configures the person's command must not reach into hosts
// that a command starts.
func environ(all []string) []string {
	var out []string
	for _, kv := range all {
		if !strings.HasPrefix(kv, "VSTACK_") {
			out = append(out, kv)
		}
	}
	return out
}

// tail keeps the end of what is written. os/exec writes from one goroutine.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-maxOutput):]
	return len(p), nil
}

// plain are the bytes that mean nothing to a shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%"

// Quote writes a word so that the shell that runs commands takes it as it is.
func Quote(word string) string {
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
