package scan

import "github.com/vstack/vstack/datanode/superblock/format"

// Verdict is what a scan means.
type Verdict struct {
	Keep int   // leading records that count
	Cut  int64 // where the torn tail starts; 0 if there is none
	Lost []Gap // rot: acknowledged records were there
}

// Judge tells a torn tail from rot in a file of a version and of size bytes. A group is
// written only after everything before it is durable, so damage before the start of the
// last group, or anywhere if later files hold records, is rot; damage in the last group is
// what a crash leaves. right says whether a record's data is what its header says.
func (sc *Result) Judge(size int64, version format.Version, later bool, right func(*Record, *format.Header) (bool, error)) (v Verdict, err error) {
	v.Keep = len(sc.Records)
	lastGroup, end := int64(format.FileHeaderLen), int64(format.FileHeaderLen)
	if n := len(sc.Records); n > 0 {
		last := sc.Records[n-1]
		lastGroup = last.Group
		end = last.Off + last.Len
	}
	torn := int64(0)
	for _, g := range sc.Gaps {
		if later || g.From < lastGroup {
			v.Lost = append(v.Lost, g)
		} else if torn == 0 {
			torn = g.From
		}
	}
	if later {
		if sc.Dirty {
			v.Lost = append(v.Lost, Gap{From: format.Align(end, format.GroupAlign), To: size})
		}
		return v, nil
	}
	whole, err := sc.wholeBatches(version, lastGroup, torn, right)
	if err != nil || whole == len(sc.Records) && torn == 0 && !sc.Dirty {
		return v, err // the group may lack its end, but there is nothing to cut
	}
	v.Keep = whole
	v.Cut = format.FileHeaderLen
	switch {
	case whole == len(sc.Records):
		v.Cut = max(v.Cut, end)
	case whole > 0:
		last := &sc.Records[whole-1]
		v.Cut = last.Off + last.Len
	}
	return v, nil
}

// wholeBatches finds how many records count when those of the last group do up to the
// first damage, and only in whole batches whose data is right. torn is where a gap in the
// group begins, 0 if none.
func (sc *Result) wholeBatches(version format.Version, lastGroup, torn int64, right func(*Record, *format.Header) (bool, error)) (int, error) {
	first := len(sc.Records)
	for first > 0 && sc.Records[first-1].Group == lastGroup {
		first--
	}
	whole := first
	for i := first; i < len(sc.Records); i++ {
		rec := &sc.Records[i]
		var h format.Header
		if err := h.DecodeFixed(rec.Entry[:], version); err != nil {
			return 0, err
		}
		ok, err := right(rec, &h)
		if err != nil {
			return 0, err
		}
		if expected := i - whole; !ok || (torn != 0 && rec.Off > torn) || int(h.BatchIndex) != expected {
			break
		}
		if h.BatchIndex+1 == h.BatchCount {
			whole = i + 1
		}
	}
	return whole, nil
}
