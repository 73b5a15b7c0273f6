package uploader

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// cluster is a catalog and its acceptors in memory, for tests. It keeps the contract of
// both: incarnations fence, a slot is written once, only open uploads are published,
// and a manifest's chunks must be the chosen ones.
type cluster struct {
	mu          sync.Mutex
	incarnation vstack.Incarnation
	uploads     map[vstack.UploadID]vstack.Upload
	manifests   map[vstack.VideoID]vstack.Manifest
	slots       map[vstack.Slot]vstack.Value
	chunks      map[vstack.ChunkID][]byte
	commits     map[vstack.Slot]int // calls that sent bytes
	inFlight    int
	peak        int
	forget      bool                    // keep no bytes
	gate        func(vstack.Slot) error // asked before each commit, without the lock
	openErr     error                   // of OpenUpload
	listErr     error                   // of Uploads
	publishGate func() error            // asked after a publish was applied
	openGate    func()                  // asked before an upload is opened; set before use
	forgotten   map[vstack.Incarnation]bool
	tickets     map[vstack.TicketID]vstack.Ticket
	keys        []vstack.APIKey
	asked       int // UseAPIKey
}

func (c *cluster) UseTicket(_ context.Context, id vstack.TicketID, req wire.UseTicketRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tickets[id]
	switch {
	case !ok || t.Uses < req.Uses:
		return fmt.Errorf("ticket: %w", vstack.ErrUnauthenticated)
	case t.Bytes > 0 && (req.Size < 0 || req.Size > t.Bytes):
		return fmt.Errorf("ticket: %w", vstack.ErrTooLarge)
	}
	t.Uses -= req.Uses
	c.tickets[id] = t
	return nil
}

func (c *cluster) UseAPIKey(_ context.Context, req wire.UseAPIKeyRequest) (vstack.APIKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	for i := range c.keys {
		k := &c.keys[i]
		switch {
		case k.ID != req.ID:
			continue
		case k.Films > 0 && k.UsedFilms+req.Films > k.Films:
			return vstack.APIKey{}, fmt.Errorf("API key: %w", vstack.ErrQuota)
		}
		k.UsedFilms += req.Films
		return *k, nil
	}
	return vstack.APIKey{}, fmt.Errorf("API key: %w", vstack.ErrUnauthenticated)
}

func newCluster() *cluster {
	return &cluster{
		uploads: map[vstack.UploadID]vstack.Upload{}, manifests: map[vstack.VideoID]vstack.Manifest{},
		slots: map[vstack.Slot]vstack.Value{}, chunks: map[vstack.ChunkID][]byte{}, commits: map[vstack.Slot]int{},
	}
}

func (c *cluster) OpenUpload(_ context.Context, req wire.OpenUploadRequest) (vstack.Upload, error) {
	if c.openGate != nil {
		c.openGate()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.openErr != nil {
		return vstack.Upload{}, c.openErr
	}
	if req.Title == "" || req.Owner.IsZero() {
		return vstack.Upload{}, fmt.Errorf("open upload: %w", vstack.ErrInvalid)
	}
	c.incarnation++
	up := vstack.Upload{
		ID: vstack.UploadID(uuid.Must(uuid.NewV7())), Video: vstack.VideoID(uuid.Must(uuid.NewV7())),
		State: vstack.UploadOpen, Incarnation: c.incarnation, Owner: req.Owner, Source: req.Source,
	}
	c.uploads[up.ID] = up
	return up, nil
}

func (c *cluster) ResumeUpload(_ context.Context, id vstack.UploadID, req wire.ResumeUploadRequest) (vstack.Upload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	up, ok := c.uploads[id]
	switch {
	case !ok:
		return up, fmt.Errorf("resume: %w", vstack.ErrNotFound)
	case up.State != vstack.UploadOpen:
		return up, fmt.Errorf("resume: %w", vstack.ErrUploadNotLive)
	}
	c.incarnation++
	up.Incarnation, up.Owner = c.incarnation, req.Owner
	c.uploads[id] = up
	return up, nil
}

func (c *cluster) Upload(_ context.Context, id vstack.UploadID) (vstack.Upload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	up, ok := c.uploads[id]
	if !ok {
		return up, fmt.Errorf("upload: %w", vstack.ErrNotFound)
	}
	return up, nil
}

func (c *cluster) Uploads(_ context.Context, f metaclient.UploadFilter) ([]vstack.Upload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listErr != nil {
		return nil, c.listErr
	}
	var out []vstack.Upload
	for _, up := range c.uploads {
		if (f.State == "" || up.State == f.State) && (f.SourceSHA256.IsZero() || up.Source.SHA256 == f.SourceSHA256) {
			out = append(out, up)
		}
	}
	return out, nil
}

func (c *cluster) Video(_ context.Context, id vstack.VideoID) (vstack.Video, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.manifests[id]; !ok {
		return vstack.Video{}, fmt.Errorf("video: %w", vstack.ErrNotFound)
	}
	return vstack.Video{ID: id, State: vstack.VideoPublished}, nil
}

func (c *cluster) Publish(_ context.Context, id vstack.UploadID, req wire.PublishRequest) (vstack.Video, error) {
	v, err := c.publish(id, req)
	if err == nil && c.publishGate != nil {
		err = c.publishGate()
	}
	return v, err
}

func (c *cluster) publish(id vstack.UploadID, req wire.PublishRequest) (vstack.Video, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := c.uploads[id]
	switch {
	case up.State != vstack.UploadOpen:
		return vstack.Video{}, fmt.Errorf("publish: %w", vstack.ErrUploadNotLive)
	case up.Incarnation != req.Incarnation:
		return vstack.Video{}, fmt.Errorf("publish: %w", vstack.ErrFenced)
	}
	for slot, ref := range req.Manifest.Slots {
		if c.slots[slot] != (vstack.Value{Chunk: ref.ID, Size: ref.Size}) {
			return vstack.Video{}, fmt.Errorf("publish: slot %s is not chosen so: %w", slot, vstack.ErrManifestInvalid)
		}
	}
	up.State = vstack.UploadPublished
	if src := req.Source; src != nil {
		up.Source.SHA256, up.Source.Size = src.SHA256, src.Size
	}
	c.uploads[id] = up
	c.manifests[up.Video] = req.Manifest
	return vstack.Video{ID: up.Video, State: vstack.VideoPublished}, nil
}

func (c *cluster) AbortUpload(_ context.Context, id vstack.UploadID, inc vstack.Incarnation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	up, ok := c.uploads[id]
	switch {
	case !ok:
		return fmt.Errorf("abort: %w", vstack.ErrNotFound)
	case up.State != vstack.UploadOpen:
		return fmt.Errorf("abort: %w", vstack.ErrUploadNotLive)
	case up.Incarnation != inc:
		return fmt.Errorf("abort: %w", vstack.ErrFenced)
	}
	up.State = vstack.UploadAborted
	c.uploads[id] = up
	return nil
}

func (c *cluster) Ready(context.Context) error { return nil }

func (c *cluster) Commit(ctx context.Context, up vstack.Upload, slot vstack.Slot, data []byte) (quicclient.Committed, error) {
	return c.CommitValue(ctx, up, slot, vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}, nil, data)
}

func (c *cluster) CommitValue(ctx context.Context, up vstack.Upload, slot vstack.Slot, value vstack.Value, leaves vstack.LeafTable, data []byte) (quicclient.Committed, error) {
	c.mu.Lock()
	c.inFlight++
	c.peak = max(c.peak, c.inFlight)
	gate := c.gate
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.inFlight--
		c.mu.Unlock()
	}()
	if gate != nil {
		if err := gate(slot); err != nil {
			return quicclient.Committed{}, err
		}
	}
	if ctx.Err() != nil {
		return quicclient.Committed{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fenced(up); err != nil {
		return quicclient.Committed{}, err
	}
	v := vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}
	if v != value {
		return quicclient.Committed{}, fmt.Errorf("slot %s: %w", slot, vstack.ErrHashMismatch)
	}
	if leaves != nil && leaves.Root() != vstack.LeavesOf(data).Root() {
		return quicclient.Committed{}, fmt.Errorf("slot %s: its leaves are not its own: %w", slot, vstack.ErrHashMismatch)
	}
	c.commits[slot]++
	if have, ok := c.slots[slot]; ok && have != v {
		return quicclient.Committed{Value: have}, fmt.Errorf("slot %s: %w", slot, vstack.ErrSlotConflict)
	}
	c.slots[slot] = v
	if !c.forget {
		c.chunks[v.Chunk] = append([]byte(nil), data...)
	}
	return quicclient.Committed{Value: v, Acks: vstack.Acceptors, Sent: int64(vstack.Acceptors * len(data))}, nil
}

// fenced judges a proposal as an acceptor that has applied the catalog does.
func (c *cluster) fenced(up vstack.Upload) error {
	now := c.uploads[up.ID]
	switch {
	case now.State != vstack.UploadOpen:
		return fmt.Errorf("upload %s: %w", up.ID, vstack.ErrUploadNotLive)
	case now.Incarnation != up.Incarnation || c.forgotten[up.Incarnation]:
		return fmt.Errorf("upload %s: %w", up.ID, vstack.ErrFenced)
	}
	return nil
}

func (c *cluster) Chosen(_ context.Context, up vstack.Upload) (map[vstack.Slot]vstack.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fenced(up); err != nil {
		return nil, err
	}
	out := map[vstack.Slot]vstack.Value{}
	for slot, v := range c.slots {
		if slot.Video == up.Video {
			out[slot] = v
		}
	}
	return out, nil
}

func (c *cluster) Forget(up vstack.Upload) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgotten == nil {
		c.forgotten = map[vstack.Incarnation]bool{}
	}
	c.forgotten[up.Incarnation] = true
}

func (c *cluster) setGate(gate func(vstack.Slot) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gate = gate
}

func (c *cluster) manifest(v vstack.VideoID) (vstack.Manifest, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.manifests[v]
	return m, ok
}

// bytesOf puts a track's chunks together.
func (c *cluster) bytesOf(t vstack.Track) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := append([]byte(nil), c.chunks[t.Init.ID]...)
	for _, ref := range t.Chunks {
		out = append(out, c.chunks[ref.ID]...)
	}
	return out
}

// states lists the states of all uploads.
func (c *cluster) states() []vstack.UploadState {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []vstack.UploadState
	for _, up := range c.uploads {
		out = append(out, up.State)
	}
	return out
}

func (c *cluster) sent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, k := range c.commits {
		n += k
	}
	return n
}

// upload is the catalog's entry.
func (c *cluster) upload(id vstack.UploadID) vstack.Upload {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.uploads[id]
}

// all returns every upload of the catalog.
func (c *cluster) all() []vstack.Upload {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.uploads))
}

// sends is how often each slot's bytes were sent.
func (c *cluster) sends() map[vstack.Slot]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.commits)
}
