package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// simDisk is what survives a kill: every write that had returned. Its writes take the
// time of two fdatasyncs, and sometimes that of a busy disk.
type simDisk struct {
	*raft.InmemStore

	mu   sync.Mutex
	open chan struct{} // nil, or closed when a held disk goes on
	keys []string      // of the stable store, in the order of their writes
	logs bool          // only writes of the log are held
}

func (d *simDisk) write(log bool, f func() error) error {
	took := 300*time.Microsecond + time.Duration(rand.Int64N(int64(2*time.Millisecond)))
	if rand.IntN(100) == 0 {
		took += 50 * time.Millisecond
	}
	time.Sleep(took)
	for {
		d.mu.Lock()
		open := d.open
		if open == nil || d.logs && !log {
			defer d.mu.Unlock()
			return f()
		}
		d.mu.Unlock()
		<-open
	}
}

// logsOnly lets the writes of the stable store pass while those of the log are held.
func (d *simDisk) logsOnly() {
	d.mu.Lock()
	d.logs = true
	d.mu.Unlock()
}

// hold stops the writes of the process; release lets them go on.
func (d *simDisk) hold() {
	d.mu.Lock()
	d.open = make(chan struct{})
	d.mu.Unlock()
}

func (d *simDisk) release() {
	d.mu.Lock()
	if d.open != nil {
		close(d.open)
		d.open = nil
	}
	d.mu.Unlock()
}

// survivor is what a process leaves that is killed now. The goroutines of the killed one
// go on with the old store, where nobody will look.
func (d *simDisk) survivor(t *testing.T) *raft.InmemStore {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := raft.NewInmemStore()
	check := func(err error) {
		if err != nil {
			t.Fatalf("copy a disk: %v", err)
		}
	}
	first, err := d.FirstIndex()
	check(err)
	last, err := d.LastIndex()
	check(err)
	for i := first; i <= last && last > 0; i++ {
		l := new(raft.Log)
		check(d.GetLog(i, l))
		check(out.StoreLog(l))
	}
	if term, err := d.GetUint64([]byte("CurrentTerm")); err == nil {
		check(out.SetUint64([]byte("CurrentTerm"), term))
	}
	if vote, err := d.Get([]byte(disk.KeyVote)); err == nil {
		check(out.Set([]byte(disk.KeyVote), vote))
	}
	return out
}

func (d *simDisk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }
func (d *simDisk) StoreLogs(l []*raft.Log) error {
	return d.write(true, func() error { return d.InmemStore.StoreLogs(l) })
}
func (d *simDisk) DeleteRange(a, b uint64) error {
	return d.write(true, func() error { return d.InmemStore.DeleteRange(a, b) })
}
func (d *simDisk) Set(k, v []byte) error {
	return d.write(false, func() error { d.keys = append(d.keys, string(k)); return d.InmemStore.Set(k, v) })
}
func (d *simDisk) SetUint64(k []byte, v uint64) error {
	return d.write(false, func() error { d.keys = append(d.keys, string(k)); return d.InmemStore.SetUint64(k, v) })
}

// simLog is what every member must agree on, and what was acknowledged.
type simLog struct {
	t      *testing.T
	forked bool // not checked

	mu      sync.Mutex
	entries map[uint64]string        // by index, as any member applied it
	leaders map[uint64]raft.ServerID // by term
	acked   map[string]uint64        // index by entry
	highest uint64                   // of the acknowledged

	reads, refused int
}

func newSimLog(t *testing.T) *simLog {
	return &simLog{t: t, entries: map[uint64]string{}, leaders: map[uint64]raft.ServerID{}, acked: map[string]uint64{}}
}

func (l *simLog) applied(index uint64, entry string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, ok := l.entries[index]; ok && have != entry && !l.forked {
		l.t.Errorf("index %d is %q on one member and %q on another", index, have, entry)
	}
	l.entries[index] = entry
}

func (l *simLog) spoke(from raft.ServerID, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, ok := l.leaders[term]; ok && have != from && !l.forked {
		l.t.Errorf("term %d was led by %s and by %s", term, have, from)
	}
	l.leaders[term] = from
}

func (l *simLog) acknowledge(entry string, index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[entry] = index
	l.highest = max(l.highest, index)
}

func (l *simLog) acknowledged() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.highest
}

// missing is an acknowledged entry that the log, up to an index, does not have.
func (l *simLog) missing() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for entry, index := range l.acked {
		if l.entries[index] != entry {
			return fmt.Errorf("%q was acknowledged at index %d, which is %q", entry, index, l.entries[index])
		}
	}
	return nil
}

// simFSM answers an entry with its index.
type simFSM struct {
	log *simLog

	mu      sync.Mutex
	gate    chan struct{} // nil, or what Apply waits for
	index   uint64
	changed chan struct{}
}

// shut makes Apply wait until the channel that it returns is closed.
func (f *simFSM) shut() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = make(chan struct{})
	return f.gate
}

func (f *simFSM) applied() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.index
}

func (f *simFSM) Apply(l *raft.Log) any {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	f.log.applied(l.Index, string(l.Data))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index = l.Index
	close(f.changed)
	f.changed = make(chan struct{})
	return l.Index
}
func (f *simFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("not in this test") }
func (f *simFSM) Restore(io.ReadCloser) error         { return errors.New("not in this test") }

// reach waits until the FSM has applied an index, as the catalog does for a read.
func (f *simFSM) reach(ctx context.Context, index uint64) (uint64, error) {
	for {
		f.mu.Lock()
		have, changed := f.index, f.changed
		f.mu.Unlock()
		if have >= index {
			return have, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return have, vstack.ErrCatalogLagging
		}
	}
}

// simMember is one member: its disk outlives its runs.
type simMember struct {
	peer  Peer
	store *raft.InmemStore
	run   atomic.Pointer[simRun] // nil while it is dead
}

// simRun is a member's process: the product's Node over a simulated network and disk.
type simRun struct {
	*Node
	end  *simEnd
	disk *simDisk
	fsm  *simFSM
}

// simCluster is three members in one bubble of virtual time.
type simCluster struct {
	t       *testing.T
	net     *simNet
	opt     simOptions
	log     *simLog
	members []*simMember
	peers   []Peer
	ending  sync.WaitGroup // of killed members
	fatal   chan error     // where it is no failure that a member would end its process
}

// simOptions take defences away.
type simOptions struct {
	adjust    func(*raft.Config) // of each member, by its LocalID
	bare      bool               // neither guard nor votes: the library's own use of the disk
	fast      bool               // heartbeats on the library's fast path
	apart     time.Duration      // the round trip between two members
	told      bool               // and they are told
	undrained bool               // nobody reads NotifyCh, and it has no buffer
	founders  func(id string) []Peer
	forked    bool // the log need not be one
}

// newSimCluster starts three members.
func newSimCluster(t *testing.T, opt simOptions) *simCluster {
	c := &simCluster{t: t, opt: opt, log: newSimLog(t)}
	for i := range 3 {
		c.peers = append(c.peers, Peer{ID: fmt.Sprintf("h%d", i+1), Addr: fmt.Sprintf("10.0.0.%d:7080", i+1)})
	}
	cfg := Config{}
	cfg.withDefaults()
	c.net = newSimNet(cfg.RPCTimeout)
	c.net.spoke, c.net.oneWay = c.log.spoke, opt.apart/2
	c.log.forked = opt.forked
	for _, p := range c.peers {
		c.members = append(c.members, &simMember{peer: p, store: raft.NewInmemStore()})
	}
	for _, m := range c.members {
		c.start(m)
	}
	return c
}

// start runs a member over its disk, as Node.open does.
func (c *simCluster) start(m *simMember) {
	n := &Node{cfg: Config{ID: m.peer.ID, Peers: c.peers, Logger: slog.New(slog.DiscardHandler)},
		slots: make(chan struct{}, maxInFlight), notify: make(chan bool, 64), changed: make(chan struct{})}
	if c.opt.told {
		n.cfg.RoundTrip = c.opt.apart
	}
	n.cfg.withDefaults()
	n.cfg.Fatal = func(err error) {
		if c.fatal == nil {
			c.t.Errorf("%s would end its process: %v", m.peer.ID, err)
			return
		}
		c.fatal <- err
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	r := &simRun{Node: n, disk: &simDisk{InmemStore: m.store}}
	r.fsm = &simFSM{log: c.log, changed: make(chan struct{})}
	var store disk.Store = r.disk
	var stable raft.StableStore = r.disk
	// No probe: it would wait for the lock of a write, which is no virtual time.
	n.guard = disk.NewGuard(r.disk, n.cfg.DiskTimeout, 0, n.fatal)
	if !c.opt.bare { // else nothing is written through it
		store, stable = n.guard, &disk.Votes{StableStore: n.guard}
	}
	var err error
	if n.log, err = raft.NewLogCache(logCacheSize, store); err != nil {
		c.t.Fatal(err)
	}
	snaps := raft.NewInmemSnapshotStore()
	conf := n.raftConfig()
	conf.LocalID, conf.Logger = raft.ServerID(m.peer.ID), newLogger(n.cfg.Logger)
	if c.opt.undrained {
		conf.NotifyCh = make(chan bool)
	}
	if c.opt.adjust != nil {
		c.opt.adjust(conf)
	}
	r.end = c.net.attach(raft.ServerAddress(m.peer.Addr), conf.LocalID)
	r.end.takesFast = c.opt.fast
	if last, _ := m.store.LastIndex(); last == 0 {
		var all raft.Configuration
		founders := c.peers
		if c.opt.founders != nil {
			founders = c.opt.founders(m.peer.ID)
		}
		for _, p := range founders {
			all.Servers = append(all.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr)})
		}
		if err := raft.BootstrapCluster(conf, n.log, stable, snaps, r.end, all); err != nil {
			c.t.Fatal(err)
		}
	}
	if n.raft, err = raft.NewRaft(conf, r.fsm, n.log, stable, snaps, r.end); err != nil {
		c.t.Fatal(err)
	}
	n.wg.Add(1)
	go n.follow()
	r.end.node.Store(n)
	m.run.Store(r)
}

// kill ends a member as SIGKILL does: nothing of it is heard or written from now on.
func (c *simCluster) kill(m *simMember) {
	r := m.run.Swap(nil)
	r.end.kill()
	m.store = r.disk.survivor(c.t)
	r.disk.release()
	c.ending.Add(1)
	go func() {
		defer c.ending.Done()
		r.Node.release()
	}()
}

// close ends all members and waits for them.
func (c *simCluster) close() {
	for _, m := range c.members {
		if m.run.Load() != nil {
			c.kill(m)
		}
	}
	c.ending.Wait()
}

// leader is the member that leads, established, or nil. not is passed over.
func (c *simCluster) leader(not *simMember) *simMember {
	for _, m := range c.members {
		if r := m.run.Load(); r != nil && m != not {
			if _, ok := r.Leading(); ok {
				return m
			}
		}
	}
	return nil
}

// address finds a member by its name.
func (c *simCluster) address(id string) raft.ServerAddress {
	for _, p := range c.peers {
		if p.ID == id {
			return raft.ServerAddress(p.Addr)
		}
	}
	return ""
}

// write commits one entry on a member and notes the answer, unless the member's process
// did not live to give it.
func (c *simCluster) write(r *simRun, entry string) error {
	out, err := r.Apply(context.Background(), []byte(entry))
	if err != nil {
		return err
	}
	if r.end.isDead() {
		return vstack.ErrOutcomeUnknown
	}
	c.log.acknowledge(entry, out.(uint64))
	return nil
}

// read is a linearizable read on a member: it must see all that was acknowledged before
// it began.
func (c *simCluster) read(r *simRun) error {
	before := c.log.acknowledged()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	index, err := r.ReadIndex(ctx, func(_ context.Context, id string) (uint64, error) { return r.end.askTerm(c.address(id)) })
	if err != nil {
		return err
	}
	seen, err := r.fsm.reach(ctx, index)
	if err != nil {
		return err
	}
	if seen < before {
		c.t.Errorf("%s read index %d after %d had been acknowledged", r.cfg.ID, seen, before)
	}
	return nil
}
