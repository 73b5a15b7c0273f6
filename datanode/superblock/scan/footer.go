package scan

import (
	"bytes"
	"fmt"
	"io"

	"github.com/vstack/vstack/datanode/superblock/format"
)

// Footer returns the entries of the footer of a sealed file of size bytes, checked; name is for
// errors.
func Footer(f io.ReaderAt, name string, version format.Version, salt uint64, size int64) ([]byte, error) {
	var buf [format.TrailerLen]byte
	if err := readFull(f, buf[:], size-format.TrailerLen); err != nil {
		return nil, fmt.Errorf("read trailer of %s: %w", name, err)
	}
	var t format.Trailer
	if err := t.Decode(buf[:], version, size); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	entries := make([]byte, int(t.Count)*version.EntryLen())
	if err := readFull(f, entries, t.Footer); err != nil {
		return nil, fmt.Errorf("read footer of %s: %w", name, err)
	}
	if format.CRC(entries) != t.EntriesCRC || t.Salt != salt {
		return nil, fmt.Errorf("footer of %s: %w: CRC or salt", name, format.ErrMalformed)
	}
	return entries, nil
}

// Entries are the footer entries of the records that were found.
func (sc *Result) Entries(version format.Version) []byte {
	var out []byte
	for i := range sc.Records {
		out = format.AppendEntry(out, sc.Records[i].Entry[:], sc.Records[i].Off, version)
	}
	return out
}

// FooterMissing reports whether what lies behind the records, in a file of size bytes, is anything
// but the footer that they should have. Of one that is known to be rotten only the length counts.
func (sc *Result) FooterMissing(f io.ReaderAt, name string, version format.Version, size int64, rotten bool) (bool, error) {
	end := int64(format.FileHeaderLen)
	if n := len(sc.Records); n > 0 {
		end = sc.Records[n-1].Off + sc.Records[n-1].Len
	}
	end = format.Align(end, format.GroupAlign)
	if end+version.FooterLen(len(sc.Records)) != size {
		return true, nil
	}
	want := sc.Entries(version)
	got := make([]byte, len(want))
	if err := readFull(f, got, end); err != nil {
		return true, fmt.Errorf("read footer of %s: %w", name, err)
	}
	// Rot in the entries or in the trailer, but in a footer of the right length for
	// records that are all there.
	return !rotten && !bytes.Equal(got, want), nil
}
