package scan

import (
	"bytes"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

const salt = 77

// memory is a file in memory.
type memory struct{ *bytes.Reader }

func (m memory) NextData(off int64) (int64, error) { return off, nil }

// promise is an encoded record; end marks the last of its group.
func promise(lsn vstack.LSN, group int64, end bool) []byte {
	h := format.Header{Version: format.V1, LSN: lsn, Group: group, BatchCount: 1, Salt: salt}
	h.Kind = format.KindPromise
	if end {
		h.Flags = format.FlagGroupEnd
	}
	b := make([]byte, format.Shape{Version: format.V1, Data: 0}.HeaderLen())
	h.Encode(b, nil, nil)
	return b
}

// image is a file of 6 pages: a group of two records, one of one, one of two.
func image() []byte {
	b := make([]byte, 6*format.GroupAlign)
	const page = format.GroupAlign
	copy(b[page:], promise(1, page, false))
	copy(b[page+192:], promise(2, page, true))
	copy(b[2*page:], promise(3, 2*page, true))
	copy(b[3*page:], promise(4, 3*page, false))
	copy(b[3*page+192:], promise(5, 3*page, true))
	return b
}

func TestScan(t *testing.T) {
	const page = format.GroupAlign
	for name, tc := range map[string]struct {
		damage  func(b []byte)
		records int
		gaps    []Gap
		dirty   bool
	}{
		"whole":                          {func([]byte) {}, 5, nil, false},
		"the first record":               {func(b []byte) { b[page+9] ^= 1 }, 4, []Gap{{page, page + 192}}, false},
		"the end of the first group":     {func(b []byte) { b[page+200] ^= 1 }, 4, []Gap{{page + 192, 2 * page}}, false},
		"a whole group":                  {func(b []byte) { b[2*page+9] ^= 1 }, 4, []Gap{{2 * page, 3 * page}}, false},
		"the last record":                {func(b []byte) { b[3*page+200] ^= 1 }, 4, nil, true},
		"the last group, all zeros":      {func(b []byte) { clear(b[3*page:]) }, 3, nil, false},
		"an end that was cut off":        {func(b []byte) { clear(b[page+192 : 2*page]) }, 4, nil, false},
		"something behind the last":      {func(b []byte) { b[5*page+1] = 1 }, 5, nil, true},
		"records of another file":        {func(b []byte) { b[2*page+144] ^= 1; refresh(b[2*page:]) }, 4, []Gap{{2 * page, 3 * page}}, false},
		"a record that says it is older": {func(b []byte) { copy(b[2*page:], promise(3, page, true)) }, 4, []Gap{{2 * page, 3 * page}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := image()
			tc.damage(b)
			got, err := File(memory{bytes.NewReader(b)}, "file", format.V1, salt, int64(len(b)))
			if err != nil || len(got.Records) != tc.records || got.Dirty != tc.dirty || len(got.Gaps) != len(tc.gaps) {
				t.Fatalf("%d records, gaps %v, dirty %v, error %v; want %d, %v, %v", len(got.Records), got.Gaps, got.Dirty, err, tc.records, tc.gaps, tc.dirty)
			}
			for i, g := range tc.gaps {
				if got.Gaps[i] != g {
					t.Errorf("gap %v, want %v", got.Gaps[i], g)
				}
			}
		})
	}
}

// refresh makes the CRC of a record without data right again.
func refresh(b []byte) {
	sum := format.CRC(append(bytes.Clone(b[:156]), b[160:192]...))
	for i := range 4 {
		b[156+i] = byte(sum >> (8 * i))
	}
}

// FuzzScan walks arbitrary bytes: no panic, and no record beyond the file.
func FuzzScan(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := File(memory{bytes.NewReader(b)}, "file", format.V1, salt, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		for i := range got.Records {
			r := &got.Records[i]
			if r.Off < at || r.Off+r.Len > int64(len(b)) {
				t.Fatalf("record at %d of %d bytes in a file of %d", r.Off, r.Len, len(b))
			}
			at = r.Off + r.Len
		}
	})
}
