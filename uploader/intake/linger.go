package intake

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	// lingerTime and lingerBytes bound how long a client that was refused may go on
	// sending. A connection that is closed before is reset, and the answer with it.
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

// Refuse has answer write an error to a client that may still be sending its body, and
// then reads the rest of it for a while, so that the answer arrives. The answer says its
// length. In HTTP/2 a stream ends on each side by itself.
func Refuse(ctx context.Context, w http.ResponseWriter, r *http.Request, g *Guard, answer func()) {
	waits := r.Header.Get("Expect") != "" && !g.Begun() // for "100 Continue", which will not come
	if r.ProtoMajor != 1 || r.Body == nil || r.Body == http.NoBody || waits {
		answer()
		return
	}
	ctl := http.NewResponseController(w)
	_ = ctl.EnableFullDuplex() // else the server reads up to 256 KiB of the body first
	w.Header().Set("Connection", "close")
	answer()
	if ctl.Flush() != nil || ctl.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(ended); _ = ctl.SetReadDeadline(time.Now()) })
	defer func() {
		if !stop() {
			<-ended // it may touch the connection, which is another request's soon
		}
	}()
	_, _ = io.CopyN(io.Discard, r.Body, lingerBytes)
}
