//go:build unix && !linux

package lab

import (
	"errors"
	"fmt"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// enter refuses to start a host: here labs are only made and their bundles renewed.
func (h *Host) enter() error { return fmt.Errorf("%w: hosts run on Linux", errors.ErrUnsupported) }
