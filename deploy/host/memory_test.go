package host

import "testing"

func TestMemoryIsGivenBackOnceAPeakIsOver(t *testing.T) {
	const mib = 1 << 20
	g := &giver{allocated: 10 * mib, left: 100 * mib}
	for i, look := range []struct {
		allocated, resident uint64 // MiB
		want                bool
	}{
		{20, 100, false},   // nothing to do
		{2000, 900, false}, // the peak
		{4000, 900, false}, // goes on
		{4010, 900, true},  // is over
		{4020, 130, false}, // what was left
		{4030, 180, false}, // not worth it
		{4040, 210, true},
		{4050, 90, false}, // the runtime gave back more by itself
		{4060, 160, true},
	} {
		if got := g.look(look.allocated*mib, look.resident*mib); got != look.want {
			t.Errorf("look %d: %v, want %v", i, got, look.want)
		}
		if look.want {
			g.left = min(look.resident, 120) * mib
		}
	}
}

func TestMemoryIsMeasured(t *testing.T) {
	before, _ := memory()
	kept := make([]byte, 32<<20)
	after, resident := memory()
	if after-before < uint64(len(kept)) || resident < 1<<20 || resident > 1<<40 {
		t.Errorf("%d then %d bytes allocated, %d resident", before, after, resident)
	}
}
