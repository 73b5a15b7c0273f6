package vstack

import "errors"

// Code is the stable name of an error, the same in Go, in problem+json and in the docs.
type Code string

// Sentinel is an error with a stable code. Wrap it with fmt.Errorf("…: %w", …) and
// branch on it with errors.Is; internal/wire gives each code its HTTP status.
type Sentinel struct {
	code Code
	text string
}

func (e *Sentinel) Error() string { return e.text }

// Code returns the stable name.
func (e *Sentinel) Code() Code { return e.code }

// all collects the sentinels for AllErrors; filled by sentinel during package
// variable initialisation only.
var all []*Sentinel

func sentinel(code Code, text string) *Sentinel {
	e := &Sentinel{code: code, text: text}
	all = append(all, e)
	return e
}

// The sentinels. A new one also needs a row in internal/wire and in docs/errors.md.
var (
	ErrInvalid         = sentinel("INVALID_ARGUMENT", "invalid argument")
	ErrNotFound        = sentinel("NOT_FOUND", "not found")
	ErrAlreadyExists   = sentinel("ALREADY_EXISTS", "already exists")
	ErrUnauthenticated = sentinel("UNAUTHENTICATED", "client certificate required")
	ErrForbidden       = sentinel("FORBIDDEN", "not allowed")
	ErrRevoked         = sentinel("REVOKED", "certificate revoked")
	ErrRateLimited     = sentinel("RATE_LIMITED", "more requests a second than are allowed")
	ErrQuota           = sentinel("QUOTA_EXCEEDED", "more films or bytes than the API key is for")
	ErrTooLarge        = sentinel("TOO_LARGE", "larger than the limit")
	ErrMethod          = sentinel("METHOD_NOT_ALLOWED", "method is not one of the route's")
	ErrTimeout         = sentinel("TIMEOUT", "timed out")
	ErrUnavailable     = sentinel("UNAVAILABLE", "unavailable, try again")
	ErrInternal        = sentinel("INTERNAL", "internal error")

	// Metastore.
	ErrNoLeader        = sentinel("NO_LEADER", "no leader")
	ErrOutcomeUnknown  = sentinel("OUTCOME_UNKNOWN", "leadership lost: outcome unknown")
	ErrQuorumAtRisk    = sentinel("QUORUM_AT_RISK", "too few members would be left that answer")
	ErrBackupInvalid   = sentinel("BACKUP_INVALID", "not a whole backup of a catalog")
	ErrNotReady        = sentinel("NOT_READY", "placement is not assigned yet: too few stores")
	ErrUploadNotLive   = sentinel("UPLOAD_NOT_LIVE", "upload is not live")
	ErrForeignCatalog  = sentinel("FOREIGN_CATALOG", "catalog is not the one that the store belongs to")
	ErrLevelTooOld     = sentinel("LEVEL_TOO_OLD", "program is older than the cluster's feature level")
	ErrManifestInvalid = sentinel("MANIFEST_INVALID", "manifest is not valid")
	ErrClassStale      = sentinel("CLASS_STALE", "class of the video is another one")
	ErrNoTaker         = sentinel("NO_TAKER", "no other store can take these roles")
	ErrStoreInUse      = sentinel("STORE_IN_USE", "store has roles or may hold the only copies")
	ErrManifestsLost   = sentinel("MANIFESTS_LOST", "manifests that the catalog names are not on the disk")
	ErrViewStale       = sentinel("VIEW_STALE", "what is known of the catalog is too old for private films")
	ErrTooFewTargets   = sentinel("TOO_FEW_TARGETS", "too few stores or hosts for the scheme")

	// ChunkPaxos.
	ErrBallotStale    = sentinel("BALLOT_STALE", "a higher ballot was promised")
	ErrBallotReused   = sentinel("BALLOT_REUSED", "ballot was already used for another value")
	ErrSlotConflict   = sentinel("SLOT_CONFLICT", "slot holds another chunk")
	ErrEpochStale     = sentinel("EPOCH_STALE", "placement epoch does not match")
	ErrNotAcceptor    = sentinel("NOT_ACCEPTOR", "store is not an acceptor of this slot")
	ErrNotOwner       = sentinel("NOT_OWNER", "round 0 belongs to the upload's owner")
	ErrAmnesic        = sentinel("AMNESIC", "store may have forgotten votes and does not vote")
	ErrNoQuorum       = sentinel("NO_QUORUM", "no majority of acceptors answered")
	ErrHashMismatch   = sentinel("HASH_MISMATCH", "bytes do not hash to the chunk's name")
	ErrFenced         = sentinel("FENCED", "superseded by a newer incarnation")
	ErrBytesMissing   = sentinel("BYTES_MISSING", "chunk's bytes are not here")
	ErrCatalogLagging = sentinel("CATALOG_LAGGING", "store has not caught up with the catalog")

	// Stores.
	ErrCorrupt      = sentinel("CORRUPT", "stored bytes fail their checksum")
	ErrDiskFull     = sentinel("DISK_FULL", "disk is full")
	ErrKeyMissing   = sentinel("KEY_MISSING", "the key of what is encrypted is not at hand")
	ErrClosed       = sentinel("CLOSED", "closed")
	ErrRangeInvalid = sentinel("RANGE_INVALID", "range is outside the chunk")

	// Uploader.
	ErrNotMedia       = sentinel("NOT_MEDIA", "not a media file that FFmpeg can read")
	ErrNoStreams      = sentinel("NO_STREAMS", "no video or audio stream")
	ErrMediaUnfit     = sentinel("MEDIA_UNFIT", "media is outside the supported limits")
	ErrTruncated      = sentinel("TRUNCATED", "upload ended before its stated length")
	ErrFormInvalid    = sentinel("FORM_INVALID", "form fields are not as documented")
	ErrTranscode      = sentinel("TRANSCODE_FAILED", "FFmpeg could not convert the file")
	ErrCanceled       = sentinel("CANCELED", "canceled")
	ErrTooManyUploads = sentinel("TOO_MANY_UPLOADS", "too many uploads at once, try again")
	ErrOffset         = sentinel("OFFSET_MISMATCH", "bytes do not go on where the upload stands")
	ErrTusVersion     = sentinel("TUS_VERSION", "version of the tus protocol is not spoken here")
)

// AllErrors returns every sentinel, for the tables that must cover them all.
func AllErrors() []*Sentinel { return append([]*Sentinel(nil), all...) }

// SentinelOf returns the outermost sentinel in err's chain, or ErrInternal.
func SentinelOf(err error) *Sentinel {
	var s *Sentinel
	if errors.As(err, &s) {
		return s
	}
	return ErrInternal
}

// SentinelFor returns the sentinel with a code, or nil.
func SentinelFor(code Code) *Sentinel {
	for _, s := range all {
		if s.code == code {
			return s
		}
	}
	return nil
}
