package deliver

import "testing"

func TestAHostThatWasLostComesLast(t *testing.T) {
	list := []string{"a", "b", "c"}
	for start := range list {
		got := inTurn(list, start, "b")
		if got[2] != "b" || len(got) != 3 {
			t.Errorf("from %d: %v", start, got)
		}
	}
	if got := inTurn([]string{"a"}, 0, "a"); len(got) != 1 {
		t.Errorf("the only one: %v", got)
	}
}
