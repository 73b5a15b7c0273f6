package conns

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// Stall is how long a transfer may make no progress.
const Stall = 30 * time.Second

// Writer moves the deadline of the answer on with every write, since a catalog
// may take longer than any other answer.
type Writer struct {
	w   io.Writer
	ctl *http.ResponseController
}

// NewWriter writes to w, whose deadlines ctl sets.
func NewWriter(w io.Writer, ctl *http.ResponseController) *Writer { return &Writer{w, ctl} }

func (p *Writer) Write(b []byte) (int, error) {
	if err := p.ctl.SetWriteDeadline(time.Now().Add(Stall)); err != nil {
		return 0, fmt.Errorf("extend the answer's deadline: %w", err)
	}
	return p.w.Write(b)
}

// Reader does the same for a request's body.
type Reader struct {
	r   io.Reader
	ctl *http.ResponseController
}

// NewReader reads from r, whose deadlines ctl sets.
func NewReader(r io.Reader, ctl *http.ResponseController) *Reader { return &Reader{r, ctl} }

func (p *Reader) Read(b []byte) (int, error) {
	if err := p.ctl.SetReadDeadline(time.Now().Add(Stall)); err != nil {
		return 0, fmt.Errorf("extend the request's deadline: %w", err)
	}
	return p.r.Read(b)
}
