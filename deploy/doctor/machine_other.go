//go:build !linux

package doctor

import (
	"errors"
	"time"

	"github.com/vstack/vstack/deploy/config"
)

// elsewhere is what a client's machine is told of what only a host's has.
func elsewhere(check string) Finding { return finding(check, OK, "", "known on Linux only") }

func clock() Finding { return elsewhere("clock") }

func ffmpegJail([]*config.Server) Finding { return elsewhere("jail") }

func syncLatency(string) (p50, worst time.Duration, err error) {
	return 0, 0, errors.ErrUnsupported
}
