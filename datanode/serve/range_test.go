package serve

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestParseRange(t *testing.T) {
	const size = 1000
	huge := strings.Repeat("9", 40)
	for _, c := range []struct {
		header  string
		want    span
		partial bool
		err     error
	}{
		{"", span{0, 1000}, false, nil},
		{"bytes=0-0", span{0, 1}, true, nil},
		{"bytes=0-999", span{0, 1000}, true, nil},
		{"bytes=0-", span{0, 1000}, true, nil},
		{"bytes=500-", span{500, 500}, true, nil},
		{"bytes=999-", span{999, 1}, true, nil},
		{"bytes=10-19", span{10, 10}, true, nil},
		{"bytes=990-5000", span{990, 10}, true, nil},
		{"bytes=990-" + huge, span{990, 10}, true, nil},
		{"bytes=-1", span{999, 1}, true, nil},
		{"bytes=-1000", span{0, 1000}, true, nil},
		{"bytes=-" + huge, span{0, 1000}, true, nil},
		{"bytes= 1-2 ", span{1, 2}, true, nil},
		{"bytes=1000-", span{}, false, vstack.ErrRangeInvalid},
		{"bytes=1000-2000", span{}, false, vstack.ErrRangeInvalid},
		{"bytes=" + huge + "-", span{}, false, vstack.ErrRangeInvalid},
		{"bytes=-0", span{}, false, vstack.ErrRangeInvalid},
		// Not well-formed, or several: the whole chunk.
		{"bytes=5-4", span{0, 1000}, false, nil},
		{"bytes=" + huge + "-1", span{0, 1000}, false, nil},
		{"bytes=-", span{0, 1000}, false, nil},
		{"bytes=a-b", span{0, 1000}, false, nil},
		{"bytes=+1-2", span{0, 1000}, false, nil},
		{"bytes=1-2,4-5", span{0, 1000}, false, nil},
		{"lines=1-2", span{0, 1000}, false, nil},
	} {
		got, partial, err := parseRange(c.header, size)
		if !errors.Is(err, c.err) || got != c.want || partial != c.partial {
			t.Errorf("%q: got %v %v %v, want %v %v %v", c.header, got, partial, err, c.want, c.partial, c.err)
		}
	}
}

func TestEtagListed(t *testing.T) {
	const tag = `"abc"`
	for header, want := range map[string]bool{
		`"abc"`: true, `W/"abc"`: true, `*`: true, `"x", "abc"`: true, `"x",W/"abc"`: true,
		`"x"`: false, ``: false, `abc`: false, `"abcd"`: false,
	} {
		if got := etagListed(header, tag); got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}

// FuzzParseRange holds every header to what an answer may be built from: a part that
// lies inside the chunk, and a single range that says exactly what was asked.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-5", "bytes=5-", "bytes=1-2,3-4", "bytes=99999999999999999999-1", "bytes=-0", "bytes=7-3"} {
		f.Add(s, int64(1000))
	}
	f.Add("bytes=0-", int64(1))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 1 || size > vstack.MaxChunkSize {
			return
		}
		s, partial, err := parseRange(header, size)
		if err != nil {
			if !errors.Is(err, vstack.ErrRangeInvalid) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if s.off < 0 || s.n < 1 || s.off+s.n > size {
			t.Fatalf("%q of %d: %+v lies outside", header, size, s)
		}
		if !partial && (s.off != 0 || s.n != size) {
			t.Fatalf("%q of %d: %+v is not the whole", header, size, s)
		}
		// A canonical range must come back as asked.
		canonical := "bytes=" + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.off+s.n-1, 10)
		if again, ok, err := parseRange(canonical, size); err != nil || !ok || again != s {
			t.Fatalf("%q gave %+v, and that asked for again gave %+v %v %v", header, s, again, ok, err)
		}
	})
}
