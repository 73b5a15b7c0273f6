package wire

import "github.com/vstack/vstack/internal/vstack"

// TicketRequest is the body of POST /v1/tickets.
type TicketRequest struct {
	Note  string  `json:"note,omitempty"`  // whom it is for
	Bytes int64   `json:"bytes,omitempty"` // most that one file may have; 0: no bound of its own
	Uses  int     `json:"uses,omitempty"`  // files that it is good for; default 1
	Life  float64 `json:"life,omitempty"`  // seconds; default a day
}

// TicketReply is its answer, the only one that has the token.
type TicketReply struct {
	vstack.Ticket
	Token string `json:"token"`
}

// UseTicketRequest is the body of POST /v1/tickets/{id}/use.
type UseTicketRequest struct {
	Uses int   `json:"uses"` // 0: only look whether it is good
	Size int64 `json:"size"` // bytes of the file; -1: nobody said
}
