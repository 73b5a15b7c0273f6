package proof

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

// order is one line to the link's process: the link to open, in place of the one before,
// or what to report of it.
type order struct {
	Relay  string       `json:"relay,omitzero"` // listens at this address, for To
	To     string       `json:"to,omitzero"`
	TCP    bool         `json:"tcp,omitzero"`   // beside UDP
	Hosts  []netip.Addr `json:"hosts,omitzero"` // of namespaces that links join; the first one's is shaped
	Shape  shape.Shape  `json:"shape"`
	Report bool         `json:"report,omitzero"`
}

// answer is the line to it.
type answer struct {
	Addr      netip.AddrPort `json:"addr,omitzero"`  // of the relay
	Paths     []string       `json:"paths,omitzero"` // of the hosts' namespaces
	Up        link.Counts    `json:"up,omitzero"`
	Down      link.Counts    `json:"down,omitzero"`
	Processor time.Duration  `json:"processor,omitzero"` // spent since the link was opened
	Error     string         `json:"error,omitzero"`
}

// Serve is the link's process: it takes orders until its input ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	s := &server{ctx: ctx}
	defer func() { err = errors.Join(err, s.close()) }()
	lines, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := lines.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		a, err := s.obey(o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

type server struct {
	ctx    context.Context // ends what opens links
	relay  *link.Relay
	net    *netns.Net
	before time.Duration // processor time when the link was open
}

func (s *server) obey(o order) (a answer, err error) {
	if o.Report {
		a.Processor = processor() - s.before
		if s.relay != nil {
			a.Up, a.Down, err = s.relay.Report()
		} else {
			a.Up, a.Down, err = s.net.LinkReport(0)
		}
		if errors.Is(err, link.ErrLate) {
			err = nil // lateness is a figure here, with a bound of its own
		}
		return a, err
	}
	if err := s.close(); err != nil {
		return a, err
	}
	plan := shape.Always(o.Shape)
	if o.Relay != "" {
		s.relay, err = link.Open(link.Config{Listen: o.Relay, To: o.To, UDP: true, TCP: o.TCP, Up: plan, Down: plan, Seed: 1})
		if err == nil {
			a.Addr = s.relay.Addr()
		}
	} else if s.net, err = netns.OpenLinks(s.ctx, 1, o.Hosts); err == nil {
		for i := range o.Hosts {
			a.Paths = append(a.Paths, s.net.Path(i))
		}
		err = s.net.SetLink(0, plan, plan)
	}
	s.before = processor()
	return a, err
}

func (s *server) close() error {
	var errs []error
	if s.relay != nil {
		errs = append(errs, s.relay.Close())
	}
	if s.net != nil {
		errs = append(errs, s.net.Close())
	}
	s.relay, s.net = nil, nil
	return errors.Join(errs...)
}

// processor is the processor time of this process.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // it cannot fail for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// process is the link's process as its owner holds it.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
}

func start(exe string, args []string) (*process, error) {
	cmd := exec.Command(exe, args...)
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
		return nil, fmt.Errorf("start link: %w", err)
	}
	return &process{cmd: cmd, in: in, answers: json.NewDecoder(bufio.NewReader(out))}, nil
}

// tell sends an order and waits for its answer.
func (p *process) tell(o order) (answer, error) {
	b, err := json.Marshal(o)
	if err == nil {
		_, err = p.in.Write(append(b, '\n'))
	}
	var a answer
	if err == nil {
		err = p.answers.Decode(&a)
	}
	if err != nil {
		return a, fmt.Errorf("ask the link's process: %w", err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("link's process: %w: %s", vstack.ErrUnavailable, a.Error)
	}
	return a, nil
}

func (p *process) close() error {
	err := p.in.Close()
	if werr := p.cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("link's process: %w", werr))
	}
	return err
}
