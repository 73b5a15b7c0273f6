package load

import "testing"

func TestRegisterJudgesReads(t *testing.T) {
	written := func() *register {
		r := &register{}
		for n := uint64(1); n <= 5; n++ {
			r.begin(n)
			r.acknowledge(n)
		}
		r.begin(6) // under way
		return r
	}
	t.Run("the acknowledged one is right", func(t *testing.T) {
		r := written()
		if err := r.read(r.floor(), 5); err != nil {
			t.Error(err)
		}
	})
	t.Run("one under way may be read", func(t *testing.T) {
		r := written()
		if err := r.read(r.floor(), 6); err != nil {
			t.Error(err)
		}
	})
	t.Run("one below the acknowledged is stale", func(t *testing.T) {
		r := written()
		if r.read(r.floor(), 4) == nil {
			t.Error("not seen")
		}
	})
	t.Run("what was read before it began is its floor", func(t *testing.T) {
		r := written()
		if err := r.read(r.floor(), 6); err != nil {
			t.Fatal(err)
		}
		if r.read(r.floor(), 5) == nil {
			t.Error("a step back was not seen")
		}
	})
	t.Run("what was acknowledged after it began is not", func(t *testing.T) {
		r := written()
		floor := r.floor()
		r.acknowledge(6)
		if err := r.read(floor, 5); err != nil {
			t.Error(err)
		}
	})
	t.Run("what nobody wrote is wrong", func(t *testing.T) {
		r := written()
		if r.read(r.floor(), 7) == nil {
			t.Error("not seen")
		}
	})
	t.Run("a lower reading does not lower the floor", func(t *testing.T) {
		r := written()
		early := r.floor()
		if err := r.read(early, 6); err != nil {
			t.Fatal(err)
		}
		if err := r.read(early, 5); err != nil {
			t.Fatal(err)
		}
		if r.floor() != 6 {
			t.Errorf("floor is %d", r.floor())
		}
	})
}

func TestTitlesCarryNumbers(t *testing.T) {
	for _, n := range []uint64{0, 7, 1 << 60} {
		if got, err := parseTitle(registerTitle(n)); err != nil || got != n {
			t.Errorf("%d came back as %d, %v", n, got, err)
		}
	}
	for _, s := range []string{"", "drill register ", "drill register -1", "drill film", "holiday 7"} {
		if n, err := parseTitle(s); err == nil {
			t.Errorf("%q is %d", s, n)
		}
	}
}
