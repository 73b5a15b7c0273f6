package command

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/vstack/vstack/metastore/catalog/sums"
)

// Sum hashes what is remembered of a request: its answer, with detail as the text of a refusal.
// Of a video or an upload in it the id and what says which state it was count.
func Sum(request string, t Type, r *Result, detail string) sums.Sum {
	b := make([]byte, 0, 256)
	for _, s := range []string{"requests", request, string(t), string(r.Code), detail} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = binary.AppendUvarint(b, r.Index)
	if v := r.Video; v != nil {
		b = binary.AppendUvarint(append(b, v.ID[:]...), v.Index)
	}
	if u := r.Upload; u != nil {
		b = binary.AppendUvarint(append(b, u.ID[:]...), uint64(u.Incarnation))
	}
	h := sha256.New()
	h.Write(b)
	return sums.Lanes(h)
}
