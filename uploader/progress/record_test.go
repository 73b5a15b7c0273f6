package progress

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/order"
)

func FuzzRecord(f *testing.F) {
	up := vstack.Upload{ID: vstack.UploadID{1}, Video: vstack.VideoID{2}, State: vstack.UploadOpen, Incarnation: 3}
	good, err := json.Marshal(NewRecord(up, order.Options{Title: "t", Renditions: []string{"source"}}, 3, time.Unix(0, 0).UTC()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := Decode(b)
		if err != nil {
			if !errors.Is(err, vstack.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("a record that was read is not read again: %v", err)
		}
	})
}
