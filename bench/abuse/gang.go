package abuse

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/vstack/vstack/internal/vstack"
)

// gang is the attackers' process, seen from outside.
type gang struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	held *quarter
}

// begin starts the attackers.
func begin(exe string, setup Setup) (*gang, error) {
	cmd := exec.Command(exe, "bench", "part", Part)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING=true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start strangers: %w", err)
	}
	g := &gang{cmd: cmd, in: in, out: bufio.NewReader(out), held: holdToAQuarter(cmd.Process.Pid)}
	line, err := json.Marshal(setup)
	if err == nil {
		_, err = in.Write(append(line, '\n'))
	}
	if err != nil {
		_, ended := g.end()
		return nil, errors.Join(fmt.Errorf("set strangers up: %w", err), ended)
	}
	return g, nil
}

// end has them go home, and tells what they did.
func (g *gang) end() (did Did, err error) {
	g.held.end()
	err = g.in.Close()
	line, rerr := g.out.ReadBytes('\n')
	if rerr == nil {
		rerr = json.Unmarshal(line, &did)
	}
	if werr := g.cmd.Wait(); werr != nil || rerr != nil {
		err = errors.Join(err, fmt.Errorf("strangers: %w: %w", vstack.ErrInternal, errors.Join(werr, rerr)))
	}
	return did, errors.Join(err, g.held.close())
}
