package history

import (
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

func chunk(b byte) (id vstack.ChunkID) { id[0] = b; return id }

// propose and read make operations of slot 1; got 0 is an unknown outcome or "empty".
func propose(call, ret int64, value, got byte) Op {
	return Op{Kind: Propose, Seq: 1, Value: chunk(value), Got: chunk(got), Known: got != 0, Call: call, Return: ret}
}

func read(call, ret int64, got byte) Op {
	return Op{Kind: Read, Seq: 1, Got: chunk(got), Known: true, Call: call, Return: ret}
}

func TestHistoriesAreJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		ops []Op
		ok  bool
	}{
		"nothing happened":                                    {nil, true},
		"one value, told to everyone":                         {[]Op{propose(1, 5, 1, 1), propose(2, 6, 2, 1), read(7, 8, 1)}, true},
		"empty before, full after":                            {[]Op{read(1, 2, 0), propose(3, 4, 1, 1), read(5, 6, 1)}, true},
		"empty while it is being filled":                      {[]Op{propose(1, 9, 1, 1), read(2, 3, 0), read(4, 5, 1), read(6, 7, 1)}, true},
		"an unknown outcome that happened":                    {[]Op{propose(1, 2, 1, 0), read(5, 6, 1)}, true},
		"an unknown outcome that happened late":               {[]Op{propose(1, 2, 1, 0), read(5, 6, 0), read(7, 8, 1)}, true},
		"an unknown outcome that never happened":              {[]Op{propose(1, 2, 1, 0), propose(3, 4, 2, 2), read(5, 6, 2)}, true},
		"a value of another's unknown outcome":                {[]Op{propose(1, 2, 1, 0), propose(3, 4, 2, 1)}, true},
		"two unknown ones, one of which won":                  {[]Op{propose(1, 2, 1, 0), propose(1, 2, 2, 0), read(3, 4, 2), propose(5, 6, 3, 2)}, true},
		"two values told":                                     {[]Op{propose(1, 5, 1, 1), propose(2, 6, 2, 2)}, false},
		"two values read":                                     {[]Op{propose(1, 2, 1, 0), propose(1, 2, 2, 0), read(3, 4, 1), read(5, 6, 2)}, false},
		"a conflict with a value that nobody proposed":        {[]Op{propose(1, 5, 1, 9)}, false},
		"a value that was read before anybody proposed it":    {[]Op{read(1, 2, 1), propose(3, 4, 1, 1)}, false},
		"a conflict told before the other value was proposed": {[]Op{propose(1, 2, 2, 1), propose(3, 4, 1, 1)}, false},
		"empty after an acknowledgement":                      {[]Op{propose(1, 2, 1, 1), read(3, 4, 0)}, false},
		"empty after a read of the value":                     {[]Op{propose(1, 9, 1, 0), read(2, 3, 1), read(4, 5, 0)}, false},
		"an acknowledged value that was lost":                 {[]Op{propose(1, 2, 1, 1), propose(3, 4, 2, 2)}, false},
		"the first of two was told it won after the second":   {[]Op{propose(1, 9, 1, 1), propose(2, 3, 2, 2)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := Check(tc.ops, time.Second)
			if len(v.Undecided) > 0 || (len(v.Violating) == 0) != tc.ok {
				t.Errorf("verdict %+v, want linearizable: %v\n%s", v, tc.ok, Story(tc.ops, 1))
			}
		})
	}
}

func TestSlotsAreJudgedApart(t *testing.T) {
	ops := []Op{propose(1, 2, 1, 1), propose(3, 4, 2, 2)}
	ops[1].Seq = 2
	if v := Check(ops, time.Second); len(v.Violating) != 0 || v.Slots != 2 {
		t.Errorf("one value in each of two slots: %+v", v)
	}
	bad := propose(5, 6, 3, 3)
	bad.Seq = 2
	if v := Check(append(ops, bad), time.Second); len(v.Violating) != 1 || v.Violating[0] != 2 {
		t.Errorf("two values in slot 2: %+v", v)
	}
	if s := Story(append(ops, bad), 2); !strings.Contains(s, "propose 03") || strings.Contains(s, "slot 1") {
		t.Errorf("story of slot 2:\n%s", s)
	}
}

func TestValuesAreWhatWasTold(t *testing.T) {
	other := read(3, 4, 7)
	other.Seq = 2
	got := values([]Op{propose(1, 2, 1, 0), propose(1, 3, 2, 2), read(1, 2, 0), other})
	if len(got) != 2 || got[1] != chunk(2) || got[2] != chunk(7) {
		t.Errorf("%v", got)
	}
}
