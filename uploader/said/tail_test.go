package said

import "testing"

// TestWhatPeopleReadOfFFmpeg: its own words without what is of use to nobody.
func TestWhatPeopleReadOfFFmpeg(t *testing.T) {
	for said, want := range map[string]string{
		"Warning: using insecure memory!\n":                                           "",
		"Warning: using insecure memory!\n[mov @ 0x55d0c0ffee] moov atom not found\n": "[mov] moov atom not found",
		"[flv @ 0x1] bad\n[flv @ 0x2] bad\n":                                          "[flv] bad",
		"/spool/a1/source: Invalid data":                                              "input: Invalid data",
		"file:/proc/self/fd/5: Invalid data":                                          "input: Invalid data",
	} {
		to := &Tail{Max: 1 << 10}
		_, _ = to.Write([]byte(said)) // keeps all that fits
		if got := to.Text("/spool/a1/source"); got != want {
			t.Errorf("of %q people read %q, want %q", said, got, want)
		}
	}
}
