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
	// HeaderValue is CHUNK:SIZE of the value that a NACK reports.
	HeaderValue = "Vstack-Value"

	// HeaderNode, HeaderTerm and HeaderIndex describe the metastore member that answered.
	HeaderNode  = "Vstack-Node"
	HeaderTerm  = "Vstack-Term"
	HeaderIndex = "Vstack-Index"
	// HeaderMembers names the members that the answering one knows: a client that has
	// another name asks for them.
	HeaderMembers = "Vstack-Members"
	// HeaderRequestID makes a retried write idempotent; at most 64 printable characters.
	HeaderRequestID = "Vstack-Request-Id"
	// HeaderForwarded carries the id of the member that forwarded a write, to stop loops.
	HeaderForwarded = "Vstack-Forwarded"
	// HeaderCaller says whose certificate a forwarded request came with: its role and id.
	// It is believed of members only.
	HeaderCaller = "Vstack-Caller"

	// HeaderServerTiming carries the sender-side QUIC signals (see docs/api.md).
	HeaderServerTiming = "Server-Timing"
)
