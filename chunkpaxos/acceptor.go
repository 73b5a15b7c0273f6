package chunkpaxos

import (
	"errors"
	"fmt"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Acceptor votes for one store. It is a step machine and not safe for concurrent
// use: its runtime holds one lock around Step, and does no I/O inside.
//
// It keeps every slot of the unpublished uploads in memory, and of published and
// dead ones nothing: what was chosen is in the manifest by then.
type Acceptor struct {
	cfg AcceptorConfig

	uploads map[vstack.UploadID]vstack.Upload  // open ones, as the catalog has them
	open    map[vstack.VideoID]vstack.UploadID // the same, by video
	groups  map[vstack.PG]*group
	volumes map[vstack.VideoID]*volume
	slots   int // in all volumes, bounded by MaxSlots

	requests map[Token]*request // unanswered, bounded by MaxRequests
	lanes    map[vstack.Slot]*lane
	parked   []*request // wait for the catalog, in order of arrival
	ended    endedVideos

	applied uint64     // catalog index
	start   uint64     // catalog index to reach before anything is judged
	echoed  bool       // the first Echo has come
	high    vstack.LSN // highest LSN that was recovered, or acknowledged in this life
	lost    bool       // votes may have been forgotten; groups are not barred yet
	unsaved bool       // a record of that may not be on disk
	// deferred are records that nobody waits for, until the echo is judged; one for each
	// upload that ended meanwhile.
	deferred []Durable
	halted   bool

	out    []Effect
	mutant acceptorMutant
}

// acceptorMutant breaks one rule each; only tests can set it.
type acceptorMutant struct {
	fastAnywhere  bool // round 0 is judged neither by emptiness nor by ballot
	ignoreBallots bool // same ballot, other value is not refused
	ignoreEcho    bool // a wiped acceptor votes
	lateEcho      bool // what the store wrote since its start hides what it had lost
	unsealed      bool // a seal is answered, but nothing is frozen
	uninstalled   bool // votes in an epoch without its install
	firstResets   bool // a first page that comes again empties the attempt
	skipUnknown   bool // an install of an upload that the catalog tells of later is dropped
}

// volume is what the acceptor holds of one unpublished video.
type volume struct {
	upload   vstack.UploadID
	video    vstack.VideoID
	minimum  vstack.Ballot // "minimum(upload)", durable
	rising   vstack.Ballot // a minimum whose append is under way; already refused below
	slots    map[place]*slot
	inflight int        // votes and promises being appended
	ranged   []*request // ranged prepares, the first one under way; bounded by MaxQueue
}

// place is a slot within its video.
type place struct {
	track uint16
	seq   uint32
}

// slot is "promised(slot)" and "accepted(slot)", as they are on disk. A volume and a
// group share it.
type slot struct {
	promised vstack.Ballot
	accepted vstack.Ballot // zero: empty
	value    vstack.Value
	epoch    vstack.Epoch // in which it was accepted
	pg       vstack.PG
	lsn      vstack.LSN // of the vote
}

// request is one unanswered message.
type request struct {
	token    Token
	msg      message.Message
	bytes    bool // the runtime holds verified bytes
	stored   bool // the bytes are durable here
	stage    stage
	canceled bool
	records  []Durable
}

type stage uint8

const (
	arriving  stage = iota
	parked          // until the catalog reaches its upload's index
	queued          // behind a busy slot, volume or group
	fetching        // bytes
	appending       // to the log
)

// NewAcceptor checks the configuration. Restore every record of the log, then feed
// CatalogChange and Echo: until both have come, requests wait.
func NewAcceptor(cfg AcceptorConfig) (*Acceptor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Acceptor{
		cfg:      cfg,
		uploads:  make(map[vstack.UploadID]vstack.Upload),
		open:     make(map[vstack.VideoID]vstack.UploadID),
		groups:   make(map[vstack.PG]*group),
		volumes:  make(map[vstack.VideoID]*volume),
		requests: make(map[Token]*request),
		lanes:    make(map[vstack.Slot]*lane),
		high:     cfg.LSN,
	}, nil
}

// Step takes one input and returns what is to be done about it, in order. The slice
// is the caller's.
func (a *Acceptor) Step(in Input) []Effect {
	if a.halted {
		return nil // "an fsync error ends the process": nothing is answered any more
	}
	a.out = nil
	switch in := in.(type) {
	case Request:
		a.admit(in)
	case AppendDone:
		a.appended(in)
	case BytesReady:
		a.bytesReady(in)
	case Timeout:
		if r := a.requests[in.Token]; r != nil && r.stage == parked {
			a.unpark(r)
			a.nack(r, a.lagging(r.msg))
		}
	case Cancel:
		a.cancel(in.Token)
	case CatalogChange:
		a.catalog(in)
	case Echo:
		a.echo(in)
	}
	return a.out
}

// Stats is the acceptor's memory, for metrics.
type Stats struct {
	Slots    int // of unpublished uploads
	Uploads  int // open in the catalog
	Requests int // unanswered
	Parked   int // of those, waiting for the catalog
	Busy     int // slots with an append under way
	Amnesic  int // placement groups barred
	Applied  uint64
}

// Stats counts what is in memory.
func (a *Acceptor) Stats() Stats {
	s := Stats{
		Slots: a.slots, Uploads: len(a.uploads), Requests: len(a.requests), Parked: len(a.parked),
		Busy: len(a.lanes), Applied: a.applied,
	}
	s.Amnesic = len(a.Amnesic())
	return s
}

// Settled reports whether the echo is judged, and asked to be noted in the log what it
// says of lost records: from that record on the log's LSN may rise without hiding them.
func (a *Acceptor) Settled() bool {
	return a.echoed && !a.lost && !a.unsaved && a.applied >= a.start
}

// Amnesic lists, in order, the placement groups that the store is an acceptor of and is
// barred from until their epoch changes.
func (a *Acceptor) Amnesic() (barred []vstack.PG) {
	for pg := range vstack.PG(vstack.PlacementGroups) {
		if g := a.groups[pg]; g != nil && g.member && g.epoch <= g.amnesic {
			barred = append(barred, pg)
		}
	}
	return barred
}

// admit takes a new request, or refuses it for lack of room.
func (a *Acceptor) admit(in Request) {
	if a.requests[in.Token] != nil || in.Token == 0 || in.Msg == nil {
		a.out = append(a.out, Alarm{Reason: vstack.ErrInternal, Detail: fmt.Sprintf("request token %d is in use or has no message", in.Token)})
		return
	}
	r := &request{token: in.Token, msg: in.Msg, bytes: in.HasBytes}
	if len(a.requests) >= a.cfg.MaxRequests {
		a.nack(r, message.Nack{Reason: vstack.ErrUnavailable, Detail: "too many requests are under way"})
		return
	}
	a.requests[in.Token] = r
	if in.Echo > a.high && !a.mutant.ignoreEcho {
		a.forgot(in.Echo)
	}
	a.judge(r)
}

// judge runs a request from its first check, again after each wait.
func (a *Acceptor) judge(r *request) {
	if a.early(r.msg) {
		a.park(r)
		return
	}
	r.stage = arriving
	switch m := r.msg.(type) {
	case message.Accept:
		a.onLane(r, m.Slot)
	case message.Prepare:
		a.onLane(r, m.Slot)
	case message.PrepareUpload:
		a.onPrepareUpload(r, m)
	case message.Seal:
		a.onSeal(r, m)
	case message.Install:
		a.onInstall(r, m)
	case message.Query:
		a.onQuery(r, m)
	default:
		a.nack(r, message.Nack{Reason: vstack.ErrInvalid, Detail: fmt.Sprintf("message %T", r.msg)})
	}
}

// appended: "fsync error → exit, never retry".
func (a *Acceptor) appended(in AppendDone) {
	refused := errors.Is(in.Err, vstack.ErrDiskFull) || errors.Is(in.Err, vstack.ErrClosed) || errors.Is(in.Err, vstack.ErrBytesMissing)
	if in.Err != nil && !refused {
		a.halted = true
		a.out = append(a.out, Halt{Err: fmt.Errorf("append votes: %w", in.Err)})
		return
	}
	r := a.requests[in.Token]
	if in.Err == nil && (r != nil || a.mutant.lateEcho) {
		a.high = max(a.high, in.LSN) // about to be acknowledged
	}
	if r == nil || r.stage != appending {
		a.unsaved = a.unsaved || refused // nobody waits for it, but it may have been a bar
		return
	}
	switch m := r.msg.(type) {
	case message.Accept:
		a.voted(r, m, in)
	case message.Prepare:
		a.promised(r, m, in)
	case message.PrepareUpload:
		a.minimumRaised(r, m, in)
	case message.Seal:
		a.sealed(r, m, in)
	case message.Install:
		a.installed(r, m, in)
	}
}

// append asks for records to be made durable for r.
func (a *Acceptor) append(r *request, withBytes bool, records ...Durable) {
	r.stage, r.records = appending, records
	a.out = append(a.out, Append{Token: r.token, Records: records, WithBytes: withBytes})
}

func (a *Acceptor) bytesReady(in BytesReady) {
	r := a.requests[in.Token]
	if r == nil || r.stage != fetching {
		return
	}
	if in.Err != nil {
		reason := vstack.ErrBytesMissing
		if errors.Is(in.Err, vstack.ErrHashMismatch) {
			reason = vstack.ErrHashMismatch
		}
		a.nack(r, message.Nack{Reason: reason, Detail: in.Err.Error()})
		return
	}
	// No slot was held while the bytes travelled, so every check is made again.
	r.bytes, r.stored = true, in.Stored
	a.judge(r)
}

// respond answers r and frees its token.
func (a *Acceptor) respond(r *request, reply message.Reply) {
	delete(a.requests, r.token)
	if !r.canceled {
		a.out = append(a.out, Respond{Token: r.token, Reply: reply})
	}
}

func (a *Acceptor) nack(r *request, n message.Nack) {
	n.Store = a.cfg.Store
	a.respond(r, n)
}

// cancel drops a request that waits; what is being appended goes on unanswered.
func (a *Acceptor) cancel(t Token) {
	r := a.requests[t]
	if r == nil {
		return
	}
	r.canceled = true
	switch r.stage {
	case parked:
		a.unpark(r)
		delete(a.requests, t)
	case fetching:
		delete(a.requests, t)
	}
}
