package admission

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// slow takes each step of an answer after a time, unless that is later than the deadline.
type slow struct {
	http.ResponseWriter
	takes    time.Duration
	deadline time.Time
	got      bytes.Buffer
	largest  int
}

func (s *slow) SetWriteDeadline(t time.Time) error { s.deadline = t; return nil }

func (s *slow) Write(b []byte) (int, error) {
	if time.Now().Add(s.takes).After(s.deadline) {
		time.Sleep(time.Until(s.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(s.takes)
	s.largest = max(s.largest, len(b))
	return s.got.Write(b)
}

func TestAReaderThatTakesSomethingIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		s := &slow{takes: Patience - time.Second}
		began := time.Now()
		if n, err := Paced(s).Write(body); n != len(body) || err != nil || !bytes.Equal(s.got.Bytes(), body) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if s.largest > pace || time.Since(began) < 16*s.takes {
			t.Errorf("steps of %d bytes, %v in all", s.largest, time.Since(began))
		}
	})
}

func TestAReaderThatTakesNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n, err := Paced(&slow{takes: time.Hour}).Write(make([]byte, 1<<20))
		if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != Patience {
			t.Errorf("%d bytes, %v after %v", n, err, time.Since(began))
		}
	})
}

func TestAnEmptyWriteIsOne(t *testing.T) {
	s := &slow{deadline: time.Now().Add(time.Hour)}
	if n, err := Paced(s).Write(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
