package moving

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/bench/lab"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

const (
	films, filmChunks, chunkSize = 3, 24, 256 << 10
	// readers of each kind read one chunk every readPause at most.
	readers, readPause = 2, 20 * time.Millisecond
	// look is how often films' classes are asked for, watch how often cold ones are watched.
	look, watch = 100 * time.Millisecond, 2 * time.Second
	// away is how long the host that is killed stays away.
	away = 15 * time.Second
	// viewed is what watching a film adds; the threshold is half of it.
	viewed = 2000
)

// Options say where and how long. All are required.
type Options struct {
	Dir, Exe, FirstIP string
	For               time.Duration
	Progress          func(string)
}

// Result is what was read, and what went wrong.
type Result struct {
	// Reads by the class in which a film was known to be, and Ways by how it was read.
	Reads map[vstack.StorageClass]int64
	Ways  map[string]int64
	// Beside are those while a host was away.
	Beside int64
	// Failed reads got no bytes although every target was asked; Wrong ones got others.
	Failed, Wrong int64
	// Steps of classes that were seen; some are shorter than a look.
	Steps  int64
	Faults []string // the first failed and wrong reads
}

// film is a film that is read.
type film struct {
	id     vstack.VideoID
	chunks []vstack.ChunkRef
	data   [][]byte
	class  atomic.Value // vstack.StorageClass
}

// run is the lab and what reads from it.
type run struct {
	opt    Options
	lab    *lab.Lab
	meta   *metaclient.Client
	chunks *quicclient.Client
	web    *http.Client
	films  []*film
	gone   atomic.Bool // a host is away

	mu  sync.Mutex // guards res
	res Result
}

// Run makes a lab, reads from it for as long as it is asked to, and removes it.
func Run(ctx context.Context, opt Options) (_ *Result, err error) {
	r := &run{opt: opt, res: Result{Reads: map[vstack.StorageClass]int64{}, Ways: map[string]int64{}}}
	spec := lab.Spec{Spec: deploy.Spec{FirstIP: opt.FirstIP, Stores: 2, LogLevel: "warn", Superblock: 64 << 20, DropGrace: time.Second}, Under: opt.Dir}
	if r.lab, err = lab.Init(ctx, spec); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.lab.Close()) }()
	admin, err := r.lab.Serve(ctx, opt.Exe)
	if err != nil {
		return nil, err
	}
	r.meta = admin.Meta
	defer r.meta.Close()
	r.chunks, err = quicclient.New(quicclient.Config{TLS: admin.ID.ClientTLS(), Placement: r.meta.Placement, WriteTransport: quicclient.WriteTCP, AwaitLast: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.chunks.Close()) }()
	transport := &http.Transport{TLSClientConfig: admin.ID.ClientTLS(), MaxIdleConnsPerHost: 2 * readers}
	defer transport.CloseIdleConnections()
	r.web = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for n := range films {
		if err := r.publish(ctx, n); err != nil {
			return nil, err
		}
	}
	policy := vstack.DefaultRedundancy
	policy.HalfLife, policy.MinAge, policy.Dwell, policy.BytesADay = vstack.MinHalfLife, 0, 0, 0
	policy.WarmAbove, policy.CoolBelow, policy.Layout = viewed/2, viewed/4, vstack.Layout{Scheme: vstack.DefaultScheme}
	if _, err := r.meta.SetRedundancy(ctx, wire.RedundancyRequest{Policy: &policy}); err != nil {
		return nil, err
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	return &r.res, nil
}

// publish commits a film's chunks as an uploader does.
func (r *run) publish(ctx context.Context, n int) error {
	up, err := r.meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: fmt.Sprintf("film %d", n), Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		return fmt.Errorf("open upload: %w", err)
	}
	f := &film{id: up.Video}
	f.class.Store(vstack.ClassHot)
	source := rand.NewChaCha8([32]byte{byte(n)})
	track := vstack.Track{Number: 1, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 1000}
	for seq := range uint32(filmChunks + 1) {
		data := make([]byte, chunkSize)
		_, _ = source.Read(data) // never fails
		slot := vstack.Slot{Video: up.Video, Track: 1, Seq: seq}
		if _, err := r.chunks.Commit(ctx, up, slot, data); err != nil {
			return fmt.Errorf("commit %s: %w", slot, err)
		}
		ref := vstack.ChunkRef{Seq: seq, ID: vstack.ChunkIDOf(data), Size: chunkSize}
		f.chunks, f.data = append(f.chunks, ref), append(f.data, data)
		if seq == 0 {
			track.Init = ref
			continue
		}
		ref.Start, ref.Duration, ref.Keyframe = int64(seq-1)*2000, 2000, true
		track.Chunks = append(track.Chunks, ref)
	}
	m := vstack.Manifest{Version: 1, Video: up.Video, Duration: 2 * filmChunks, Tracks: []vstack.Track{track}}
	if _, err := r.meta.Publish(ctx, up.ID, wire.PublishRequest{Incarnation: up.Incarnation, Manifest: m}); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	r.films = append(r.films, f)
	return nil
}

// read has everything go on at once until the time is over.
func (r *run) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.opt.For)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { every(ctx, look, r.lookAround) })
	wg.Go(func() { every(ctx, watch, r.watchCold) })
	for range readers {
		for way, ask := range map[string]func(context.Context, *film, int) error{"whole": r.plain, "range": r.part, "client": r.smart} {
			wg.Go(func() { every(ctx, readPause, func(ctx context.Context) { r.one(ctx, way, ask) }) })
		}
	}
	return r.killOne(ctx)
}

// every calls do again and again, at most once in a while.
func every(ctx context.Context, pause time.Duration, do func(context.Context)) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			do(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// killOne kills the last host in the middle of the time and starts it again.
func (r *run) killOne(ctx context.Context) error {
	host := r.lab.Hosts[len(r.lab.Hosts)-1]
	wait := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-ctx.Done():
			return false
		}
	}
	if wait(r.opt.For * 2 / 5) {
		r.opt.Progress("host " + string(host.ID) + " is killed")
		r.gone.Store(true)
		if err := host.Kill(); err != nil {
			return fmt.Errorf("kill host %s: %w", host.ID, err)
		}
		wait(away)
		if err := host.Start(); err != nil {
			return fmt.Errorf("start host %s: %w", host.ID, err)
		}
		r.gone.Store(false)
	}
	<-ctx.Done()
	return nil
}

// lookAround notes the films' classes.
func (r *run) lookAround(ctx context.Context) {
	for _, f := range r.films {
		v, err := r.meta.Video(ctx, f.id)
		if err == nil && f.class.Swap(v.Class) != v.Class {
			r.mu.Lock()
			r.res.Steps++
			r.mu.Unlock()
		}
	}
}

// watchCold watches what is cold, often enough that it warms.
func (r *run) watchCold(ctx context.Context) {
	for _, f := range r.films {
		if f.class.Load() != vstack.ClassCold {
			continue
		}
		for range viewed / 1000 {
			_ = r.meta.AddViews(ctx, f.id, 1000) // what is not counted is watched again
		}
	}
}
