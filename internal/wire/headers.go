package wire

// Headers of the data plane and of the catalog. Text forms are those of
// internal/vstack.
const (
	// HeaderSlot is VIDEO/TRACK/SEQ of the chunk in a PUT.
	HeaderSlot = "Vstack-Slot"
	// HeaderBallot is INCARNATION.ROUND.PROPOSER of a PUT; in a NACK, the ballot that won.
	HeaderBallot = "Vstack-Ballot"
	// HeaderEpoch is the placement group's epoch; in a NACK, the acceptor's own.
	HeaderEpoch = "Vstack-Epoch"
	// HeaderUpload is the UploadID of a PUT.
	HeaderUpload = "Vstack-Upload"
	// HeaderUploadIndex is the Raft index of the upload's incarnation: the acceptor
	// applies the catalog up to it before it judges the PUT.
	HeaderUploadIndex = "Vstack-Upload-Index"
	// HeaderSize is the value's size in bytes on a bodiless accept.
	HeaderSize = "Vstack-Size"
	// HeaderStore is the answering store's id.
	HeaderStore = "Vstack-Store"
	// HeaderLSN is the position of the record that made the answer durable.
	HeaderLSN = "Vstack-Lsn"
	// HeaderEcho is the highest LSN that the sender ever saw acknowledged by this store.
	HeaderEcho = "Vstack-Echo"
	// HeaderLeaves is a chunk's leaf table in base64 (vstack.LeafTable). A PUT may bring it
	// along, and the store keeps it as it is. A GET asks for it with the value "?", which
	// no table is; the answer carries it where the store has one.
	HeaderLeaves = "Vstack-Leaves"
	// HeaderFragments is, in a 404 for a chunk or a fragment, which fragments of the chunk
	// the store holds: K+M/I, separated by commas. A GET of a chunk with the value "?" comes
	// from a reader who can join fragments: a store that would have to answers 404 instead.
	HeaderFragments = "Vstack-Fragments"
	// HeaderValue is CHUNK:SIZE of the value that a NACK reports.
	HeaderValue = "Vstack-Value"

	// HeaderNode, HeaderTerm and HeaderIndex describe the metastore member that answered.
	HeaderNode  = "Vstack-Node"
	HeaderTerm  = "Vstack-Term"
	HeaderIndex = "Vstack-Index"
	// HeaderLevel is, in an answer of a metastore member, the feature level that its catalog
	// is at; in a request of a host, the newest one that the program knows.
	HeaderLevel = "Vstack-Level"
	// HeaderMembers names the members that the answering one knows: a client that has
	// another name asks for them.
	HeaderMembers = "Vstack-Members"
	// HeaderRequestID makes a retried write idempotent; at most 64 printable characters.
	HeaderRequestID = "Vstack-Request-Id"
	// HeaderForwarded carries the id of the member that forwarded a write, to stop loops.
	HeaderForwarded = "Vstack-Forwarded"
	// HeaderCaller says whose certificate a forwarded request came with: its role and id.
	// It is believed of members only, as are the roles and the addresses of that
	// certificate, separated by commas, and the address of who has none.
	HeaderCaller      = "Vstack-Caller"
	HeaderCallerRoles = "Vstack-Caller-Roles"
	HeaderCallerNames = "Vstack-Caller-Names"
	HeaderCallerKey   = "Vstack-Caller-Key"

	// HeaderVideo, HeaderJob (a path) and HeaderDuplicate ("true") say what the last byte of
	// a resumable upload made of it, beside HeaderUpload. HeaderCode is an error's code in
	// an answer to HEAD, which has no body, and to a certificate that was revoked.
	HeaderVideo     = "Vstack-Video"
	HeaderJob       = "Vstack-Job"
	HeaderDuplicate = "Vstack-Duplicate"
	HeaderCode      = "Vstack-Code"

	// HeaderServerTiming carries the sender-side QUIC signals (see docs/api.md).
	HeaderServerTiming = "Server-Timing"
)

// PriorityBackground is the value of the header Priority (RFC 9218) of reads for repair: stores
// serve them after others.
const PriorityBackground = "u=7"
