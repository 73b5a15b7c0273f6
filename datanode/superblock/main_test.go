package superblock

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/datanode/superblock/format"
)

// appendAs is the version of the stores that open opens: the tests run once for each.
var appendAs = format.V1

func TestMain(m *testing.M) { goleak.VerifyTestMain(versions{m}) }

// versions runs all tests in the oldest version and in the newest, which has what those
// between them have.
type versions struct{ m *testing.M }

func (v versions) Run() (code int) {
	for _, appendAs = range []format.Version{format.V1, format.Newest} {
		if code == 0 {
			code = v.m.Run()
		}
	}
	return code
}
