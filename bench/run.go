package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

// Options say where and how long to measure.
type Options struct {
	// Dir is on the disk to measure; scenarios work in fresh directories under it. Required.
	Dir string
	// Exe is the vstack program that runs hosts and bare servers. Required.
	Exe string
	// FirstIP is the first of three loopback addresses for the lab. Default 127.0.9.1.
	FirstIP string
	// Rounds is the number of pairs of each comparison. Default 15.
	Rounds int
	// Policies are what "playback" compares: the first is judged, the others are its
	// baselines. Default smart and round-robin.
	Policies []string
	// Links are those of "playback", by the names that Links lists. Default slow, vanish and loss-1.
	Links []string
	// Traces is a folder with ghent-4g and fcc-hd, for the links of these names.
	Traces string
	// Length is that of the film of "playback". Default 40 s.
	Length time.Duration
	// WorkingSet is how many MiB "bare-get" reads in turn. Default 64.
	WorkingSet int
	// Commit is that of the build, for the report. Default what the build says of itself.
	Commit string
	// Progress, when set, is told what is being measured.
	Progress func(string)

	roundsGiven bool
	superblock  config.Size // of the lab's stores; 0: the default
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" || o.Exe == "" {
		return o, fmt.Errorf("bench options: %w: Dir and Exe are required", vstack.ErrInvalid)
	}
	if o.FirstIP == "" {
		o.FirstIP = "127.0.9.1"
	}
	o.roundsGiven = o.Rounds != 0
	if len(o.Policies) == 0 {
		o.Policies = []string{"smart", "round-robin"}
	}
	if len(o.Links) == 0 {
		o.Links = []string{"slow", "vanish", "loss-1"}
	}
	if o.Length == 0 {
		o.Length = playbackLength
	}
	if o.Length < minPlayback {
		return o, fmt.Errorf("bench options: %w: a film of %v, at least %v", vstack.ErrInvalid, o.Length, minPlayback)
	}
	if o.WorkingSet == 0 {
		o.WorkingSet = bareSet
	}
	if o.WorkingSet < 2 || o.WorkingSet > maxBareSet {
		return o, fmt.Errorf("bench options: %w: a working set of %d MiB, 2 to %d", vstack.ErrInvalid, o.WorkingSet, maxBareSet)
	}
	if o.Rounds == 0 {
		o.Rounds = 15
	}
	if o.Rounds < 1 {
		return o, fmt.Errorf("bench options: %w: %d rounds", vstack.ErrInvalid, o.Rounds)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o, nil
}

// cluster is where the measured lab is.
func (o Options) cluster() rig.Config {
	return rig.Config{Dir: o.Dir, Exe: o.Exe, FirstIP: o.FirstIP, Superblock: o.superblock}
}

// Scenario is one measurement.
type Scenario struct {
	Name string
	Doc  string
	run  func(context.Context, Options) ([]report.Row, error)
}

// Scenarios lists them in the order that a full run takes.
func Scenarios() []Scenario {
	return []Scenario{
		{"http3-get", "HTTP/3 GET of 2 MiB chunks from one store, beside a bare quic-go server that serves from memory", runHTTP3Get},
		{"tcp-get", "the same over TLS on TCP, beside a bare net/http server", runTCPGet},
		{"put", "durable three-copy PUT of 2 MiB, beside three files by plain write + fdatasync in parallel", runPut},
		{"bare-put", "the same beside net/http and os.File alone, which do what a durable, hashed and encrypted copy needs: rate, time, processor", runBarePut},
		{"bare-get", "reads over TLS and HTTP/3 beside the same: pread and decryption; --working-set", runBareGet},
		{"ingest", "a film of 200 MB uploaded, beside its bytes committed as chunks of 2 MiB: wall, processor; the index at both ends", runIngest},
		{"leaves", "what leaf tables cost a hash and a PUT, and what the smart policy costs a client", runLeaves},
		{"write-transport", "chunk PUTs over TCP beside QUIC", runWriteTransport},
		{"node-latency", "a store's time from open to first byte at 100 concurrent reads", runNodeLatency},
		{"messages", "messages and fdatasyncs a chunk, by metrics and strace", runMessages},
		{"meta-commits", "small durable catalog commits at 1, 64 and 256 clients, beside a three-member etcd", runMetaCommits},
		{"consensus", "what votes cost: beside stores without them, the metastore's Raft, and two phases", runConsensus},
		{"flips", "single bytes flipped in the files of a running store: served? reported? healed? 667 a round", runFlips},
		{"slot-race", "two uploaders race for the same 500 slots a round; a third one's commits beside them", runSlotRace},
		{"slot-histories", "uploaders of the same slots while hosts, links and uploaders fail: linearizable? 4 histories a round", runSlotHistories},
		{"replace-store", "stores replaced by epoch changes while four uploaders write: 20 a round, every chunk checked", runReplaceStore},
		{"replace-store-kills", "the same while a host is killed in every replacement: one a round", runReplaceKills},
		{"moving", "films flip between copies and fragments by their views, read in every way, a host killed meanwhile: none failed? 10 s a round", runMoving},
		{"links", "links made worse, by relay and between namespaces, held to arithmetic: TCP and UDP at 10, 50 and 500 Mbit/s", runLinks},
		{"playback", "films of 8 Mbit/s from three hosts behind bad links, by the smart client and by others in turn: first picture, stalls (needs root)", runPlayback},
		{"gateway", "one gateway under 200 viewers of one film, beside nginx with the same segments, and 50 of 50; hosts killed meanwhile", runGateway},
		{"requirements", "the eleven promises of the system that V-Stack follows, each to be twice as good as asked", runRequirements},
		{"readers", "1 to 500 readers of one store, a key each, over HTTP/3 and TLS, beside a bare server: rate, times, memory during and after", runReaders},
		{"load", "12 uploads and 100 players at once: all verified, peak memory of each process", runLoad},
	}
}

// Links lists the links that "playback" knows, in the order of the contest in virtual time.
func Links() []scenario.Scenario {
	return slices.DeleteFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Virtual() })
}

// Run runs the named scenarios, or all when names is empty.
func Run(ctx context.Context, opt Options, names ...string) (*report.Report, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	all := Scenarios()
	for _, n := range names {
		if !slices.ContainsFunc(all, func(s Scenario) bool { return s.Name == n }) {
			return nil, fmt.Errorf("scenario %q: %w", n, vstack.ErrNotFound)
		}
	}
	r := report.New(opt.Commit)
	for _, s := range all {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		opt.Progress(s.Name + ": " + s.Doc)
		rows, err := s.run(ctx, opt)
		if err != nil {
			return r, fmt.Errorf("scenario %s: %w", s.Name, err)
		}
		r.Rows = append(r.Rows, rows...)
	}
	return r, nil
}
