package drill

import (
	"testing"
	"time"
)

func TestProgressSaysHowFar(t *testing.T) {
	if got := progress(3, Options{Repeat: 12}); got != "  3/12" {
		t.Error(got)
	}
	if got := progress(3, Options{Repeat: maxRepeat, For: time.Hour}); got != "  3" {
		t.Error(got)
	}
}
