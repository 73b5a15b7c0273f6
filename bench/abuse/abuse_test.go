package abuse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vstack"
)

// victim answers whatever comes, over every protocol, at one address.
func victim(t *testing.T) (addr, roots string) {
	t.Helper()
	dir := t.TempDir()
	host := loopback.Subnet(t) + ".1"
	ca, err := identity.CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Issue(filepath.Join(dir, "h"), identity.Spec{ID: "h", Role: identity.RoleHost, Addrs: []string{host}, ValidFor: time.Hour}); err != nil {
		t.Fatal(err)
	}
	id, err := identity.Load(filepath.Join(dir, "h"))
	if err != nil {
		t.Fatal(err)
	}
	addr = host + ":8099"
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, 256<<10)) // who reads it judges
	})
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h1 := &http.Server{Handler: handler, TLSConfig: id.ServerTLS(), ErrorLog: log.New(io.Discard, "", 0)}
	h3 := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(id.ServerTLS())}
	done := make(chan error, 2)
	go func() { done <- h1.ServeTLS(l, "", "") }()
	go func() { done <- h3.Serve(udp) }()
	t.Cleanup(func() { _, _, _ = h1.Close(), h3.Close(), udp.Close(); <-done; <-done })
	return addr, filepath.Join(dir, "ca", "ca.crt")
}

func TestEveryAttackAttacksAndGoesHome(t *testing.T) {
	addr, roots := victim(t)
	from := loopback.Subnet(t)
	for _, a := range Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			setup, err := json.Marshal(Setup{Attack: a.Name, Target: addr, Paths: []string{"/v1/x"}, Roots: roots, Strength: 1,
				Keys: []netip.Addr{netip.MustParseAddr(from + ".1"), netip.MustParseAddr(from + ".2")}})
			if err != nil {
				t.Fatal(err)
			}
			in, hold := io.Pipe()
			go func() {
				_, _ = hold.Write(append(setup, '\n')) // Serve reads it
				time.Sleep(3 * time.Second)            // an attack, not a wait
				_ = hold.Close()
			}()
			var out bytes.Buffer
			if err := Serve(t.Context(), in, &out); err != nil {
				t.Fatal(err)
			}
			var did Did
			if err := json.Unmarshal(out.Bytes(), &did); err != nil {
				t.Fatal(err)
			}
			if did.Connections == 0 || did.Requests == 0 && a.Aim != AtRaft && a.Name != "initials" {
				t.Errorf("it did nothing: %+v", did)
			}
			t.Logf("%+v", did)
		})
	}
}

func TestWhatIsNoAttackIsRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"an unknown name":    {Attacks: []string{"kindness"}},
		"too strong":         {Strength: maxStrength + 1},
		"too many addresses": {Keys: maxKeys + 1},
	} {
		if err := o.Check(); !errors.Is(err, vstack.ErrInvalid) && !errors.Is(err, vstack.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := Options{}
	if err := o.Check(); err != nil || o.Count() != len(Attacks()) || o.Strength != 1 || o.Keys != 1 {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	if a, err := o.Attack(len(Attacks()) + 2); err != nil || a.Name != Attacks()[1].Name {
		t.Errorf("one round later: %s, %v", a.Name, err)
	}
}

func TestSlowAndFailedRequestsAreTold(t *testing.T) {
	rec := report.NewRecorder(func(string) {})
	r := &Rig{cfg: Config{Recorder: rec, Options: Options{Strength: 1, Keys: 1}}}
	times := func(d time.Duration) map[string][]time.Duration {
		return map[string][]time.Duration{"chunks": {d, d, d}}
	}
	judged := func(beside, now time.Duration, failed []string, memory, log int64) map[string]int64 {
		rep := report.New(report.Params{Loads: []report.Load{report.LoadStrangers}})
		rec = report.NewRecorder(func(string) {})
		r.cfg.Recorder = rec
		r.judge(Attack{Name: "x"}, &seen{times: times(beside)}, &seen{times: times(now), failed: failed}, "", memory, log)
		rep.Finish(rec)
		out := map[string]int64{}
		for _, c := range rep.Counters {
			out[c.Name] = c.Value
		}
		return out
	}
	for name, tc := range map[string]struct {
		got     map[string]int64
		counter string
		want    int64
	}{
		"three times":        {judged(100*time.Millisecond, 300*time.Millisecond, nil, 0, 0), report.ProbeSlow, 0},
		"more":               {judged(100*time.Millisecond, 301*time.Millisecond, nil, 0, 0), report.ProbeSlow, 1},
		"within the floor":   {judged(time.Millisecond, 150*time.Millisecond, nil, 0, 0), report.ProbeSlow, 0},
		"one that failed":    {judged(1, 1, []string{"why"}, 0, 0), report.ProbeFailed, 1},
		"too much memory":    {judged(1, 1, nil, memoryBound+1, 0), report.MemoryOver, 1},
		"too much of a log":  {judged(1, 1, nil, 0, logBound+1), report.LogOver, 1},
		"those that are few": {judged(1, 1, nil, 0, 0), report.Probes, 3},
	} {
		if tc.got[tc.counter] != tc.want {
			t.Errorf("%s: %s is %d, want %d", name, tc.counter, tc.got[tc.counter], tc.want)
		}
	}
}

func TestAQuarterOfAProcessor(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "read go; while :; do :; done")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	q := holdToAQuarter(cmd.Process.Pid)
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	<-ctx.Done()
	q.end()
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if used > 900*time.Millisecond {
		t.Errorf("%v of 2 s, held %s", used, q)
	}
	if err := q.close(); err != nil {
		t.Error(err)
	}
	if q.dir != "" {
		if _, err := os.Stat(q.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there still", q.dir)
		}
	} else if !strings.Contains(q.String(), "SIGSTOP") {
		t.Errorf("held %s", q)
	}
}
