package transfer

import "sync"

// share is where the bytes of a piece go. Attempts that race fill it together: a byte is
// copied once, by whoever brings it first, so that what an attempt brought before it was
// cut, cancelled or broken counts.
type share struct {
	mu  sync.Mutex // held for a copy of some kilobytes, and contended by racers alone
	buf []byte     // of the whole of what at and end count in
	at  int64      // all bytes from the piece's start to here have come
	end int64      // of the piece; a cut moves it
}

// fill takes bytes from pos on and returns those of them that are new, and whether the
// piece has ended.
func (s *share) fill(pos int64, b []byte) (lo, hi int64, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lo, hi = s.at, min(pos+int64(len(b)), s.end)
	if hi <= lo || pos > lo {
		return lo, lo, s.at >= s.end
	}
	copy(s.buf[lo:hi], b[lo-pos:hi-pos])
	s.at = hi
	return lo, hi, s.at >= s.end
}

// state is how far it is.
func (s *share) state() (at, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, s.end
}

// cut ends the piece at a byte that has not come yet; it returns the end before.
func (s *share) cut(at int64) (end int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at <= s.at || at >= s.end {
		return s.end, false
	}
	end, s.end = s.end, at
	return end, true
}
