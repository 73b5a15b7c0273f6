package admission

import (
	"net/http"
	"time"
)

const (
	// pace is how much of an answer is written at a time.
	pace = 64 << 10
	// Patience is how long a reader may take nothing before its answer ends.
	Patience = 30 * time.Second
)

// Paced is a writer that ends an answer whose reader takes nothing for Patience, however long
// it takes in all: the deadline of the connection moves with what was taken.
func Paced(w http.ResponseWriter) http.ResponseWriter {
	return &paced{ResponseWriter: w, control: http.NewResponseController(w)}
}

type paced struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *paced) Write(b []byte) (n int, err error) {
	for err == nil && (n < len(b) || n == 0) {
		_ = p.control.SetWriteDeadline(time.Now().Add(Patience)) // where there is none, the server's own holds
		var k int
		k, err = p.ResponseWriter.Write(b[n:min(len(b), n+pace)])
		if n += k; len(b) == 0 {
			break
		}
	}
	return n, err
}

// Unwrap lets http.ResponseController find what the writer can do.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }
