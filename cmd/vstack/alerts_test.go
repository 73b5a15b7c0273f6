package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/deploy/monitoring"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/soak"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
)

// alertTimes are the rules' times in the drill: seconds where a real cluster has minutes.
var alertTimes = monitoring.Times{
	Urgent: 2 * time.Second, Minute: 3 * time.Second, Soon: 3 * time.Second, Late: 5 * time.Second,
	Window: 10 * time.Second, Backup: time.Hour, Move: 8 * time.Second,
	Certificate: time.Hour, Expired: time.Minute, Clock: time.Second,
}

// TestEveryAlertFiresAndClears breaks a lab in each way that a rule is for, waits until a real
// Prometheus fires, mends it, and waits until the alert is gone.
func TestEveryAlertFiresAndClears(t *testing.T) {
	long(t)
	for _, tool := range []string{"prometheus", "strace"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %s is not installed: make deps-test", tool)
		}
	}
	needFFmpeg(t)
	s := newScenarioOf(t, lab.Spec{Superblock: 16 << 20, DeadAfter: 10 * time.Second, DropGrace: time.Second})
	d := &alertDrill{scenario: s, fired: map[string]string{}, hosts: s.lab.Hosts}
	film := d.upload("6", "1")
	d.startPrometheus()
	for _, step := range []func(vstack.VideoID){d.neverSaved, d.hostGone, d.noLeader, d.slowLog, d.wrongClock, d.certificates, d.storesGone, d.nothingToCopyFrom,
		d.rot, d.stuck, d.scrubs, d.full, d.stalls} {
		step(film)
	}
	for _, r := range monitoring.Rules(alertTimes) {
		if d.fired[r.Name] == "" {
			t.Errorf("%s was never made to fire", r.Name)
		}
	}
	if !t.Failed() {
		soak.Add(t, map[string]int64{"alerts": int64(len(d.fired))}, d.lines...)
	}
}

type alertDrill struct {
	*scenario
	hosts []*lab.Host
	url   string
	shift *shiftedClock
	fired map[string]string
	lines []string
}

func (d *alertDrill) upload(seconds, loops string) vstack.VideoID {
	d.Helper()
	job, err := d.cluster.Upload(d.Context(), d.prog, clip(d.T, seconds, loops), cluster.UploadOptions{})
	if err != nil {
		d.Fatal(err)
	}
	return job.Video
}

// startPrometheus writes what `vstack monitoring` writes, with the drill's times, and runs it.
func (d *alertDrill) startPrometheus() {
	d.Helper()
	dir := d.TempDir()
	d.vstackJSON(nil, "monitoring", "--out", dir, "--name", "drill", "--every", "1s")
	rules, err := monitoring.RulesFile(monitoring.Rules(alertTimes), time.Second)
	if err != nil {
		d.Fatal(err)
	}
	// One host's metrics come through a relay that can show another time than its clock has.
	target := d.hosts[1].Config.Data.Stores[0].Addr
	d.shift = newShiftedClock(d.T, d.scenario, target)
	path := filepath.Join(dir, "prometheus.yml")
	conf, err := os.ReadFile(path)
	if err != nil {
		d.Fatal(err)
	}
	conf = bytes.Replace(conf, []byte("- "+target+"\n"), []byte("- "+d.shift.addr+"\n"), 1)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "vstack.rules.yml"), rules, 0o644), os.WriteFile(path, conf, 0o644)); err != nil {
		d.Fatal(err)
	}
	addr := d.hosts[0].Addr() + ":9090"
	cmd := exec.Command("prometheus", "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		_ = cmd.Process.Kill() // Wait says what became of it
		_ = cmd.Wait()
		if d.Failed() {
			d.Logf("Prometheus said:\n%s", log.String())
		}
	})
	d.url = "http://" + addr
	d.until("Prometheus", func() bool { _, err := d.firing(); return err == nil })
	d.step("Prometheus watches 3 hosts, 12 targets")
}

// firing are the names of the alerts that fire.
func (d *alertDrill) firing() (names []string, err error) {
	resp, err := http.Get(d.url + "/api/v1/alerts")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var body struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, err
	}
	for _, a := range body.Data.Alerts {
		if a.State == "firing" {
			names = append(names, a.Labels["alertname"])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// wait waits until all of the alerts fire, or none does, and says how long each took since
// the fault or its mend began.
func (d *alertDrill) wait(fire bool, began time.Time, names []string) map[string]time.Duration {
	d.Helper()
	took := map[string]time.Duration{}
	var last []string
	defer func() {
		if d.Failed() {
			d.Logf("fire: %v", last)
		}
	}()
	d.until(fmt.Sprintf("%v to fire: %v", names, fire), func() bool {
		now, err := d.firing()
		if err != nil {
			return false
		}
		last = now
		for _, n := range names {
			if _, done := took[n]; !done && slices.Contains(now, n) == fire {
				took[n] = time.Since(began)
			}
		}
		return len(took) == len(names)
	})
	return took
}

// check makes a fault, waits until the alerts fire, mends it, and waits until they are gone.
func (d *alertDrill) check(what string, fault, mend func(), names ...string) {
	d.Helper()
	now, err := d.firing()
	if err != nil {
		d.Fatal(err)
	}
	for _, n := range names {
		if slices.Contains(now, n) {
			d.Fatalf("%s fires before the fault", n)
		}
	}
	began := time.Now()
	fault()
	up := d.wait(true, began, names)
	began = time.Now()
	mend()
	down := d.wait(false, began, names)
	for _, n := range names {
		d.fired[n] = what
		line := fmt.Sprintf("%-30s fired after %5.1f s, cleared %5.1f s after the mend: %s", n, up[n].Seconds(), down[n].Seconds(), what)
		d.lines = append(d.lines, line)
		d.step("%s", line)
	}
}

// ran stops a host in order and starts it again with another configuration.
func (d *alertDrill) ran(h *lab.Host, change func(*config.Server)) {
	d.Helper()
	path := filepath.Join(h.Dir, config.File)
	body, err := os.ReadFile(path)
	if err != nil {
		d.Fatal(err)
	}
	var cfg config.Server
	if err := yaml.Unmarshal(body, &cfg); err != nil {
		d.Fatal(err)
	}
	change(&cfg)
	if body, err = yaml.Marshal(&cfg); err == nil {
		err = os.WriteFile(path, body, 0o600)
	}
	if err = errors.Join(err, h.Restart()); err != nil {
		d.Fatal(err)
	}
}

func onlyMeta(c *config.Server) { c.Roles = []string{config.RoleMeta} }
func allRoles(c *config.Server) { c.Roles = config.Roles() }

func (d *alertDrill) each(change func(*config.Server), hosts ...*lab.Host) func() {
	return func() {
		d.Helper()
		for _, h := range hosts {
			d.ran(h, change)
		}
	}
}

func (d *alertDrill) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *alertDrill) neverSaved(vstack.VideoID) {
	d.check("the catalog was never saved", func() {}, func() {
		d.vstackFile("raft", "snapshot", "save", filepath.Join(d.TempDir(), "catalog.bak"))
	}, "VStackBackupLate")
}

func (d *alertDrill) hostGone(vstack.VideoID) {
	h := d.hosts[2]
	d.check("SIGKILL to a host", func() { d.must(h.Kill()) }, func() { d.must(h.Start()); d.ready() }, "VStackHostDown", "VStackMemberLost", "VStackStoreDown")
}

func (d *alertDrill) noLeader(vstack.VideoID) {
	two := d.hosts[1:]
	d.check("two of three hosts stand still", func() {
		for _, h := range two {
			d.must(h.Pause())
		}
	}, func() {
		for _, h := range two {
			d.must(h.Resume())
		}
		d.ready()
	}, "VStackNoLeader")
}

// slowLog has strace hold each sync of a host up for 300 ms.
func (d *alertDrill) slowLog(film vstack.VideoID) {
	var tracer *exec.Cmd
	stop, stopped := make(chan struct{}), make(chan struct{})
	d.check("each fdatasync of a host takes 0.3 s more", func() {
		tracer = exec.Command("strace", "-f", "-q", "-o", os.DevNull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=300000", "-p", fmt.Sprint(d.hosts[0].Pid()))
		d.must(tracer.Start())
		d.Cleanup(func() { _ = tracer.Process.Kill() }) // gone already where all went well
		go func() {                                     // the log is written when something happens
			defer close(stopped)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					// One that does not come through because of the disk is what this is about.
					_ = d.cluster.Call(d.Context(), http.MethodPatch, d.hosts[1].Config.APIs()[0], "/v1/videos/"+film.String(), strings.NewReader(fmt.Sprintf(`{"title":"%d"}`, n)), nil)
				}
			}
		}()
	}, func() {
		close(stop)
		<-stopped
		d.must(tracer.Process.Signal(syscall.SIGINT))
		_ = tracer.Wait() // ends by the signal
	}, "VStackLogSlow")
}

func (d *alertDrill) wrongClock(vstack.VideoID) {
	d.check("a host's clock reads 5 s more (in the relay of its metrics)", func() { d.shift.set(5) }, func() { d.shift.set(0) }, "VStackClockWrong")
}

func (d *alertDrill) certificates(vstack.VideoID) {
	ca, err := identity.LoadCA(filepath.Join(d.lab.Dir, "ca"))
	d.must(err)
	h := d.hosts[2]
	issue := func(life time.Duration) func() {
		return func() {
			d.Helper()
			d.must(ca.Issue(filepath.Join(h.Dir, "tls"), identity.Spec{Role: identity.RoleHost, ID: string(h.ID), Roles: vstack.RolesHost, Addrs: []string{h.Addr()}, ValidFor: life}))
		}
	}
	d.check("a certificate for 4 more minutes", issue(4*time.Minute), issue(0), "VStackCertificateExpires")
	d.check("a certificate for 50 more seconds", issue(50*time.Second), issue(0), "VStackCertificateExpiresNow")
}

func (d *alertDrill) storesGone(vstack.VideoID) {
	d.check("the stores of two of three hosts are stopped", d.each(onlyMeta, d.hosts[1:]...), func() { d.each(allRoles, d.hosts[1:]...)(); d.ready() },
		"VStackNoQuorum", "VStackToleranceBelowOne", "VStackToleranceBelowWanted", "VStackGroupsHeld")
	d.check("the stores of all hosts are stopped", d.each(onlyMeta, d.hosts...), func() { d.each(allRoles, d.hosts...)(); d.ready() }, "VStackVideosUnreadable")
}

// nothingToCopyFrom has a host miss an upload, and then all those away that have it.
func (d *alertDrill) nothingToCopyFrom(vstack.VideoID) {
	h := d.hosts[2]
	d.check("a host missed an upload, and those that have it are stopped", func() {
		d.ran(h, onlyMeta)
		d.upload("6", "0")
		d.each(onlyMeta, d.hosts[:2]...)()
		d.ran(h, allRoles)
	}, func() { d.each(allRoles, d.hosts[:2]...)(); d.ready() }, "VStackMissingWithoutProgress")
}

// rot flips bytes in every chunk of a host while nobody is there to heal it.
func (d *alertDrill) rot(film vstack.VideoID) {
	d.converged(film)
	d.check("bytes of a host's stores are flipped and scrubbed, while the others are stopped", func() {
		d.each(onlyMeta, d.hosts[1:]...)()
		if d.flips() == 0 {
			d.Fatal("nothing was flipped")
		}
		for _, st := range d.hosts[0].Config.Data.Stores {
			d.must(d.cluster.Call(d.Context(), http.MethodPost, st.Addr, "/v1/scrub", strings.NewReader("{}"), nil))
		}
	}, func() { d.each(allRoles, d.hosts[1:]...)(); d.ready() }, "VStackRot")
}

// flips damages 64 bytes in the middle of what each file of the first host holds.
func (d *alertDrill) flips() (n int) {
	d.Helper()
	for _, st := range d.hosts[0].Config.Data.Stores {
		dir := st.Dir
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(d.hosts[0].Dir, dir)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.vsb"))
		d.must(err)
		for _, path := range files {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			d.must(err)
			noise := make([]byte, 64)
			_, err = rand.Read(noise)
			d.must(err)
			for at := int64(600 << 10); at < 3<<20; at += 1 << 20 {
				if _, err := f.WriteAt(noise, at); err == nil {
					n++
				}
			}
			d.must(f.Close())
		}
	}
	return n
}

// stuck pauses a host just before a film is turned into fragments.
func (d *alertDrill) stuck(film vstack.VideoID) {
	d.converged(film)
	h := d.hosts[2]
	d.check("a host stands still while a film becomes fragments", func() {
		d.must(h.Pause())
		d.vstackJSON(nil, "video", "pin", film.String(), "cold")
	}, func() { d.must(h.Resume()); d.ready() }, "VStackMoveStuck")
}

func (d *alertDrill) scrubs(vstack.VideoID) {
	h := d.hosts[0]
	d.check("scrubs every second, at 1 KiB a second", func() {
		d.ran(h, func(c *config.Server) { c.Data.ScrubEvery, c.Data.ScrubRate = time.Second, 1<<10 })
	}, func() {
		d.ran(h, func(c *config.Server) { c.Data.ScrubEvery, c.Data.ScrubRate = 0, 0 })
		d.ready()
	}, "VStackScrubLate")
}

// full leaves a host's stores the space that they have taken, and stores films.
func (d *alertDrill) full(vstack.VideoID) {
	h := d.hosts[0]
	for range 3 {
		d.upload("8", "7") // 48 MB each
	}
	d.check("a host's stores may take what they have taken, and uploads go on", func() {
		nodes, err := d.cluster.Meta.Nodes(d.Context())
		d.must(err)
		used := map[string]int64{}
		for _, n := range nodes {
			for _, st := range n.Stores {
				used[st.Addr] = st.Report.Used
			}
		}
		d.ran(h, func(c *config.Server) {
			for i := range c.Data.Stores {
				c.Data.Stores[i].Capacity = config.Size(used[c.Data.Stores[i].Addr])
			}
		})
		d.ready()
		d.until("the stores to be full", func() bool {
			now, err := d.firing()
			d.must(err)
			if slices.Contains(now, "VStackStoreFull") && slices.Contains(now, "VStackStoreNearlyFull") {
				return true
			}
			_, _ = d.cluster.Upload(d.Context(), d.prog, clip(d.T, "4", "0"), cluster.UploadOptions{}) // DISK_FULL is what is wanted
			return false
		})
	}, func() {
		d.ran(h, func(c *config.Server) {
			for i := range c.Data.Stores {
				c.Data.Stores[i].Capacity = 0
			}
		})
		d.ready()
	}, "VStackStoreFull", "VStackStoreNearlyFull")
}

// stalls has a player say that it waits a fifth of the time, for that is what the figure is.
func (d *alertDrill) stalls(film vstack.VideoID) {
	id, r := uuid.NewString(), sessions.Report{Video: film, Player: "drill", State: "playing", Startup: 0.2}
	say := func(wait float64) {
		r.Position, r.StallTime = r.Position+1, r.StallTime+wait
		body, err := json.Marshal(r)
		d.must(err)
		d.must(d.cluster.Call(d.Context(), http.MethodPost, d.hosts[0].Config.Gateway.Addr, "/v1/sessions/"+id, bytes.NewReader(body), nil))
	}
	until := func(fires bool, wait float64) func() {
		return func() {
			d.until("the alert", func() bool {
				say(wait)
				time.Sleep(time.Second)
				now, err := d.firing()
				d.must(err)
				return slices.Contains(now, "VStackPlaybackStalls") == fires
			})
		}
	}
	d.check("a player says that it waits a fifth of the time", until(true, 0.2), until(false, 0), "VStackPlaybackStalls")
}

// shiftedClock relays a host's metrics and can have its clock read otherwise: the clock of a
// single process cannot be set.
type shiftedClock struct {
	addr    string
	seconds chan float64
}

var hostTime = regexp.MustCompile(`(?m)^vstack_host_time_seconds (\S+)$`)

func newShiftedClock(t *testing.T, s *scenario, target string) *shiftedClock {
	t.Helper()
	id, err := identity.Load(filepath.Join(s.lab.Hosts[1].Dir, "tls"))
	if err != nil {
		t.Fatal(err)
	}
	c := &shiftedClock{addr: s.lab.Hosts[1].Addr() + ":9191", seconds: make(chan float64, 1)}
	c.seconds <- 0
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: id.ClientTLS(), DisableKeepAlives: true}}
	srv := &http.Server{Addr: c.addr, TLSConfig: id.ServerTLS("http/1.1"), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := web.Get("https://" + target + "/metrics")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body) // what is short is no metrics
		by := <-c.seconds
		c.seconds <- by
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		_, _ = w.Write(hostTime.ReplaceAllFunc(body, func(line []byte) []byte {
			var at float64
			_, _ = fmt.Sscanf(string(line), "vstack_host_time_seconds %g", &at)
			return fmt.Appendf(nil, "vstack_host_time_seconds %f", at+by)
		}))
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ListenAndServeTLS("", "") }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return c
}

func (c *shiftedClock) set(seconds float64) {
	<-c.seconds
	c.seconds <- seconds
}
