//go:build !linux

package arrive

import "os"

// enlarge leaves a pipe as it is.
func enlarge(*os.File) {}
