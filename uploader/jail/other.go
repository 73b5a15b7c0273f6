//go:build !linux

package jail

import (
	"errors"
	"fmt"
	"os/exec"
)

// Start refuses: only Linux has the walls, and only hosts need them.
func (j Jail) Start(c *exec.Cmd, _ Bounds) error {
	return fmt.Errorf("confine %s: %w: needs Linux", c.Path, errors.ErrUnsupported)
}
