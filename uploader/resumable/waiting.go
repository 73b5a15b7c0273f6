package resumable

import (
	"errors"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/order"
)

// Waiting is a part that waits for more bytes.
type Waiting struct {
	ID         string // of the part: who knows it may go on with it
	Order      order.Order
	Size       int64 // bytes of the file
	Received   int64 // bytes on disk
	Began, Got time.Time
}

// Waiting lists the parts that are no uploads yet. One that does not read, or goes meanwhile,
// is left out.
func (h *Handler) Waiting() (out []Waiting, err error) {
	parts, err := h.cfg.Spool.Parts()
	if err != nil {
		return nil, err
	}
	for id := range parts {
		if _, ok := h.became(id); ok {
			continue
		}
		a, size, at, err := h.state(id)
		if err != nil {
			if !errors.Is(err, vstack.ErrNotFound) {
				h.cfg.Logger.Warn("list a part", "part", id, "err", err)
			}
			continue
		}
		out = append(out, Waiting{ID: id, Order: a.Order, Size: a.Size, Received: size, Began: a.Created, Got: at})
	}
	return out, nil
}
