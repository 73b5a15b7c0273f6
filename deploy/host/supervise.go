package host

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/vstack/vstack/deploy/config"
)

// probeTimeout bounds one look at an own port; it is less than what a watchdog may want.
const probeTimeout = 10 * time.Second

// tell tells the service manager that started this process how it fares; without one, as in a
// lab, it tells nobody.
func (h *host) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		h.log.Warn("the service manager was not told", "state", state, "err", err)
	}
}

// addWatchdog adds what tells the service manager's watchdog, where there is one, that the
// process is alive. It says so only after each role has answered /livez on its own port: a
// process that hangs with its timers running must not pass for one that works.
func (h *host) addWatchdog() error {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read what the watchdog wants: %w", err)
	}
	if every == 0 {
		return nil
	}
	w := newProbes(h.ownPorts(), min(probeTimeout, every/3))
	h.parts = append(h.parts, part{name: "watchdog", run: func(ctx context.Context) error {
		defer w.close()
		ticker := time.NewTicker(every / 3)
		defer ticker.Stop()
		for {
			if err := w.probe(ctx); err == nil {
				h.tell(daemon.SdNotifyWatchdog)
			} else if ctx.Err() == nil {
				h.log.Error("the watchdog is not told that this host lives", "err", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}})
	return nil
}

// ownPorts are the addresses that the roles of this process serve.
func (h *host) ownPorts() (addrs []string) {
	if h.cfg.Has(config.RoleMeta) {
		for _, p := range h.cfg.Meta.Peers {
			if p.ID == h.cfg.Host {
				addrs = append(addrs, p.API)
			}
		}
	}
	if h.cfg.Has(config.RoleData) {
		for _, st := range h.cfg.Data.Stores {
			addrs = append(addrs, st.Addr)
		}
	}
	if h.cfg.Has(config.RoleIngest) {
		addrs = append(addrs, h.cfg.Ingest.Addr)
	}
	if h.cfg.Has(config.RoleGateway) {
		addrs = append(addrs, h.cfg.Gateway.Addr)
	}
	return addrs
}

// probes ask ports of this process whether they answer.
type probes struct {
	addrs   []string
	timeout time.Duration
	web     *http.Client
}

func newProbes(addrs []string, timeout time.Duration) *probes {
	return &probes{addrs: addrs, timeout: timeout, web: &http.Client{Transport: &http.Transport{
		// Whether it answers is the question, not who it is: the gateway may have a certificate
		// for another name, and nothing secret is said.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		IdleConnTimeout: time.Minute,
	}}}
}

// probe answers nil when every port answers.
func (p *probes) probe(ctx context.Context) error {
	for _, addr := range p.addrs {
		if err := p.ask(ctx, addr); err != nil {
			return fmt.Errorf("ask %s whether it lives: %w", addr, err)
		}
	}
	return nil
}

func (p *probes) ask(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/livez", nil)
	if err != nil {
		return err
	}
	resp, err := p.web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

func (p *probes) close() { p.web.CloseIdleConnections() }
