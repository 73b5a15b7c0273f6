package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Type names a command. Types are never renamed or reused.
type Type string

// The commands of version 1; docs/metastore.md has the table.
const (
	OpenUpload      Type = "open_upload"
	ResumeUpload    Type = "resume_upload"
	Publish         Type = "publish"
	AbortUpload     Type = "abort_upload"
	DeleteVideo     Type = "delete_video"
	PatchVideo      Type = "patch_video"
	SetPolicy       Type = "set_policy"
	AddViews        Type = "add_views"
	RegisterStores  Type = "register_stores"
	SetLiveness     Type = "set_liveness"
	AssignPlacement Type = "assign_placement"
	SetLeaving      Type = "set_leaving"
	PrepareEpochs   Type = "prepare_epochs"
	ActivateEpochs  Type = "activate_epochs"
	RaiseLevel      Type = "raise_level"
	StepClass       Type = "step_class"     // from vstack.LevelFragments on
	OrderStores     Type = "order_stores"   // from vstack.LevelPolicy on
	SetBalance      Type = "set_balance"    // from vstack.LevelPolicy on
	SetRedundancy   Type = "set_redundancy" // from vstack.LevelPolicy on
	AgeViews        Type = "age_views"      // from vstack.LevelPolicy on
	ChangeTickets   Type = "change_tickets" // from vstack.LevelPolicy on
	AcceptLoss      Type = "accept_loss"    // likewise
	// ChangeRevocations is from vstack.LevelPolicy on.
	ChangeRevocations Type = "change_revocations"
	// ChangeTokenKeys is from vstack.LevelAccess on.
	ChangeTokenKeys Type = "change_token_keys"
	// ChangeAPIKeys is from vstack.LevelKeys on.
	ChangeAPIKeys Type = "change_api_keys"
)

// commandVersion is the version of every payload below.
const commandVersion = 1

// MaxCommand bounds one encoded command, a manifest of manifest.MaxChunks included.
const MaxCommand = 24 << 20

// Command is one log entry.
type Command struct {
	Type      Type            `json:"type"`
	Version   int             `json:"version"`
	Payload   json.RawMessage `json:"payload"`
	RequestID string          `json:"request_id,omitempty"`
	Time      time.Time       `json:"time"` // the proposer's clock, UTC
	// By is who asked for it, as wire.HeaderCaller has it; empty for the leader itself, and
	// below vstack.LevelPolicy.
	By string `json:"by,omitempty"`
}

// The payloads. Identifiers are made by the proposer, so that Apply needs no randomness.
type (
	// OpenUploadPayload creates a video and the first incarnation of its upload.
	OpenUploadPayload struct {
		Upload vstack.UploadID    `json:"upload"`
		Video  vstack.VideoID     `json:"video"`
		Title  string             `json:"title"`
		Policy vstack.ClassPolicy `json:"policy"`
		Owner  vstack.ProposerID  `json:"owner"`
		Source vstack.Source      `json:"source"`
		// Visibility is the video's from its beginning; from vstack.LevelAccess on.
		Visibility vstack.Visibility `json:"visibility,omitzero"`
	}
	// ResumeUploadPayload issues a fresh incarnation to Owner.
	ResumeUploadPayload struct {
		Upload vstack.UploadID   `json:"upload"`
		Owner  vstack.ProposerID `json:"owner"`
	}
	// PublishPayload makes the upload's video playable.
	PublishPayload struct {
		Upload      vstack.UploadID    `json:"upload"`
		Incarnation vstack.Incarnation `json:"incarnation"`
		Manifest    *vstack.Manifest   `json:"manifest"`
		// Source is set where the upload was opened without knowing the file.
		Source *wire.PublishedSource `json:"source,omitempty"`
	}
	// AbortUploadPayload ends an upload; Incarnation 0 means whichever is current.
	AbortUploadPayload struct {
		Upload      vstack.UploadID    `json:"upload"`
		Incarnation vstack.Incarnation `json:"incarnation"`
	}
	// DeleteVideoPayload leaves a tombstone.
	DeleteVideoPayload struct {
		Video vstack.VideoID `json:"video"`
	}
	// PatchVideoPayload changes what a person may edit.
	PatchVideoPayload struct {
		Video vstack.VideoID `json:"video"`
		Title *string        `json:"title,omitempty"`
		// Visibility and TokensFrom, whole seconds, are from vstack.LevelAccess on.
		Visibility vstack.Visibility `json:"visibility,omitzero"`
		TokensFrom time.Time         `json:"tokens_from,omitzero"`
	}
	// SetPolicyPayload changes the storage policy.
	SetPolicyPayload struct {
		Video  vstack.VideoID     `json:"video"`
		Policy vstack.ClassPolicy `json:"policy"`
		// Layout is for the time when the video is not hot; it cannot change while it is not.
		// From vstack.LevelFragments on.
		Layout vstack.Layout `json:"layout,omitzero"`
	}
	// StepClassPayload takes one step of a video's class.
	StepClassPayload struct {
		Video vstack.VideoID `json:"video"`
		// From and Index are the class and the ClassIndex that the step was decided upon.
		From  vstack.StorageClass `json:"from"`
		Index uint64              `json:"index"`
		To    vstack.StorageClass `json:"to"`
		// Layout is for a video that was not given one, on its way out of hot; HostsCanFail
		// is what each of its groups must bear then.
		Layout       vstack.Layout `json:"layout,omitzero"`
		HostsCanFail int           `json:"hosts_can_fail,omitzero"`
	}
	// SetRedundancyPayload changes what it gives of the policy of redundancy.
	SetRedundancyPayload struct {
		Policy *vstack.RedundancyPolicy `json:"policy,omitempty"`
		Paused *bool                    `json:"paused,omitempty"`
	}
	// AgeViewsPayload lets steps of heat pass: From is how many had passed when that was
	// decided, At when the last of them ends, by the leader's clock.
	AgeViewsPayload struct {
		From  uint64    `json:"from"`
		Steps uint32    `json:"steps"`
		At    time.Time `json:"at"`
	}
	// AddViewsPayload is what one member counted in one interval, ordered by video.
	AddViewsPayload struct {
		Views []VideoViews `json:"views"`
		// Source is who counted; absent below vstack.LevelFormats.
		Source wire.ViewsSource `json:"source,omitzero"`
	}
	// VideoViews is a number of views of one video.
	VideoViews struct {
		Video vstack.VideoID `json:"video"`
		Count int64          `json:"count"`
	}
	// RegisterStoresPayload makes a host's stores known, or changes their address or
	// capacity.
	RegisterStoresPayload struct {
		Host   vstack.HostID       `json:"host"`
		Stores []StoreRegistration `json:"stores"`
	}
	// StoreRegistration is one store of it.
	StoreRegistration struct {
		ID       vstack.StoreID `json:"id"`
		Addr     string         `json:"addr"`
		Capacity int64          `json:"capacity"`
	}
	// SetLivenessPayload carries the leader's judgement of stores and the highest LSNs
	// that it saw. Unknown stores are skipped; LSNs only raise what is recorded.
	SetLivenessPayload struct {
		States []StoreLiveness `json:"states,omitempty"`
		Echoes []StoreEcho     `json:"echoes,omitempty"`
	}
	// StoreLiveness is a transition of one store.
	StoreLiveness struct {
		ID    vstack.StoreID    `json:"id"`
		State vstack.StoreState `json:"state"`
	}
	// StoreEcho is the highest LSN seen of one store.
	StoreEcho struct {
		ID  vstack.StoreID `json:"id"`
		LSN vstack.LSN     `json:"lsn"`
	}
	// AssignPlacementPayload is a plan over exactly the registered stores of Base, the
	// placement version that it was made from.
	AssignPlacementPayload struct {
		Base   uint64             `json:"base"`
		Groups [][]vstack.StoreID `json:"groups"`
		// Cluster becomes the catalog's identity if it has none yet.
		Cluster vstack.ClusterID `json:"cluster,omitzero"`
	}
	// SetLeavingPayload marks stores whose roles are to move.
	SetLeavingPayload struct {
		Stores []StoreLeave `json:"stores"`
	}
	// StoreLeave is one of them; With is the store that an operator wants in its place,
	// zero for whichever spreads best.
	StoreLeave struct {
		ID   vstack.StoreID `json:"id"`
		Why  vstack.Leave   `json:"why"`
		With vstack.StoreID `json:"with,omitzero"`
	}
	// OrderStoresPayload is one order for some stores: for all of them, or for none.
	OrderStoresPayload struct {
		Stores []vstack.StoreID  `json:"stores"`
		Order  vstack.StoreOrder `json:"order"`
	}
	// SetBalancePayload begins, ends or holds the sharing out of roles.
	SetBalancePayload struct {
		To vstack.Balance `json:"to"`
	}
	// PrepareEpochsPayload issues one attempt for each of the groups.
	PrepareEpochsPayload struct {
		Groups []EpochPreparation `json:"groups"`
	}
	// EpochPreparation names what it was decided upon: the epoch in force and the
	// attempt that the new one overtakes, 0 for none.
	EpochPreparation struct {
		PG      vstack.PG        `json:"pg"`
		From    vstack.Epoch     `json:"from"`
		After   uint32           `json:"after"`
		Targets []vstack.StoreID `json:"targets"`
		Driver  vstack.StoreID   `json:"driver"`
	}
	// ChangeTicketsPayload makes a ticket to upload with, takes uses of one, or takes it back.
	ChangeTicketsPayload struct {
		Create *vstack.Ticket  `json:"create,omitzero"`
		Use    *TicketUse      `json:"use,omitzero"`
		Drop   vstack.TicketID `json:"drop,omitzero"`
	}
	// TicketUse is of one for a file of Size bytes; -1: nobody knows.
	TicketUse struct {
		Ticket vstack.TicketID `json:"ticket"`
		Uses   int             `json:"uses"`
		Size   int64           `json:"size"`
	}
	// ChangeRevocationsPayload adds a revocation, in place of one with its key, or drops one.
	ChangeRevocationsPayload struct {
		Add  *vstack.Revocation `json:"add,omitzero"`
		Drop string             `json:"drop,omitzero"` // a key
	}
	// ChangeAPIKeysPayload adds an API key, counts what one uploads, or removes one by its name.
	ChangeAPIKeysPayload struct {
		Add  *vstack.APIKey `json:"add,omitempty"`
		Use  *APIKeyUse     `json:"use,omitempty"`
		Drop string         `json:"drop,omitempty"`
	}
	// APIKeyUse is what a key begins to upload.
	APIKeyUse struct {
		Name  string `json:"name"`
		Films int64  `json:"films"`
		Bytes int64  `json:"bytes"`
	}
	// ChangeTokenKeysPayload adds a key of playback tokens, takes the rights of what one signed
	// before Revoke.TokensFrom, or drops one.
	ChangeTokenKeysPayload struct {
		Add    *vstack.TokenKey `json:"add,omitzero"`
		Revoke *TokenKeyRevoke  `json:"revoke,omitzero"`
		Drop   string           `json:"drop,omitzero"`
	}
	// TokenKeyRevoke names a key and whole seconds.
	TokenKeyRevoke struct {
		ID         string    `json:"id"`
		TokensFrom time.Time `json:"tokens_from"`
	}
	// RaiseLevelPayload raises the cluster's feature level, for good.
	RaiseLevelPayload struct {
		Level vstack.Level `json:"level"`
	}
	// AcceptLossPayload gives up the votes of groups that lost too many.
	AcceptLossPayload struct {
		Groups []LostGroup `json:"groups"`
	}
	// LostGroup goes from an epoch to one that begins without votes.
	LostGroup struct {
		PG      vstack.PG        `json:"pg"`
		From    vstack.Epoch     `json:"from"`
		To      vstack.Epoch     `json:"to"`
		Targets []vstack.StoreID `json:"targets"`
	}
	// ActivateEpochsPayload brings prepared epochs into force.
	ActivateEpochsPayload struct {
		Changes []wire.EpochChange `json:"changes"`
	}
)

// Encode makes a log entry of the leader's own.
func Encode(t Type, payload any, requestID string, now time.Time) ([]byte, error) {
	return EncodeFor(t, payload, requestID, "", now)
}

// EncodeFor makes a log entry for who asked for it; see Command.By.
func EncodeFor(t Type, payload any, requestID, by string, now time.Time) ([]byte, error) {
	p, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode %s payload: %w", t, err)
	}
	b, err := json.Marshal(Command{Type: t, Version: commandVersion, Payload: p, RequestID: requestID, By: by, Time: now.UTC()})
	if err != nil {
		return nil, fmt.Errorf("encode %s command: %w", t, err)
	}
	if len(b) > MaxCommand {
		return nil, fmt.Errorf("encode %s command: %w: %d bytes, at most %d", t, vstack.ErrTooLarge, len(b), MaxCommand)
	}
	return b, nil
}

// Decode reads a log entry's envelope.
func Decode(b []byte) (Command, error) {
	var c Command
	if len(b) > MaxCommand {
		return c, fmt.Errorf("decode command: %w: %d bytes, at most %d", vstack.ErrTooLarge, len(b), MaxCommand)
	}
	if err := Strict(b, &c); err != nil {
		return c, fmt.Errorf("decode command: %w", err)
	}
	if c.Version != commandVersion {
		return c, fmt.Errorf("decode command %q: %w: version %d, this member knows %d", c.Type, vstack.ErrInvalid, c.Version, commandVersion)
	}
	return c, nil
}

// PayloadOf reads a command's payload.
func PayloadOf[T any](c Command) (T, error) {
	var p T
	if err := Strict(c.Payload, &p); err != nil {
		return p, fmt.Errorf("decode %s payload: %w", c.Type, err)
	}
	return p, nil
}

// Strict refuses fields that this member does not know: skipping one would let
// members of two versions build two catalogs from one log.
func Strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	if d.More() {
		return fmt.Errorf("%w: data after the value", vstack.ErrInvalid)
	}
	return nil
}

// Result is what a command leaves for its proposer, and for a repeat of its request.
type Result struct {
	Index  uint64         `json:"index"` // of the entry that was applied first
	Code   vstack.Code    `json:"code,omitempty"`
	Detail string         `json:"detail,omitempty"`
	Video  *vstack.Video  `json:"video,omitempty"`
	Upload *vstack.Upload `json:"upload,omitempty"`
	// Activated and Refused are those of activate_epochs.
	Activated []wire.EpochChange `json:"activated,omitempty"`
	Refused   []wire.EpochChange `json:"refused,omitempty"`
}

// Err is nil, or an error of the sentinel that refused the command.
func (r *Result) Err() error {
	if r.Code == "" {
		return nil
	}
	s := vstack.SentinelFor(r.Code)
	if s == nil {
		s = vstack.ErrInternal
	}
	return &refusal{detail: r.Detail, sentinel: s}
}

type refusal struct {
	detail   string
	sentinel *vstack.Sentinel
}

func (r *refusal) Error() string { return r.detail }
func (r *refusal) Unwrap() error { return r.sentinel }
