package superblock

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/stamp"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// Config says where a store lives and within which bounds.
type Config struct {
	// Dir is the store's own directory; made if absent. Required.
	Dir string
	// FS is the file system; default vfs.OS.
	FS vfs.FS
	// SuperblockSize is the size at which a file is sealed, in bytes, a multiple of
	// 4096; default 1 GiB, at least 64 KiB. Reopening with another size is fine.
	SuperblockSize int64
	// Capacity bounds the bytes of all files; 0 is as much as the file system has.
	Capacity int64
	// Reserve is kept free for what frees space again (tombstones, compaction) and for
	// promises: chunks are refused with ErrDiskFull before it is touched. Default one
	// superblock.
	Reserve int64
	// Overhead is how many bytes of garbage Compact leaves in sealed files for each live
	// one; default 0.1. While space is short (see Stats) it leaves none.
	Overhead float64
	// GarbageRatio is the part of a sealed file that must be garbage before Compact
	// rewrites it, however much there is in all; default 1/64.
	GarbageRatio float64
	// QueueLength bounds the appends that wait for a group; default 256.
	QueueLength int
	// GroupBytes bounds the bytes of one group; default 32 MiB. A larger single batch
	// is a group of its own.
	GroupBytes int64
	// Logger; default slog.Default().
	Logger *slog.Logger
	// Registry takes the metrics, with a label store; nil takes none.
	Registry prometheus.Registerer
	// Fatal is called once, from the writer's goroutine, after a failed write or sync:
	// what is on disk is unknown then and the process must exit. Default: log and
	// os.Exit(1).
	Fatal func(error)
	// Rand makes the store's UUID, its data key, the salts of files and what their stretches
	// begin with; default crypto/rand.
	Rand io.Reader
	// Keys opens the data keys of encrypted stores; nil opens none.
	Keys stamp.Keys
	// Encrypt has a new store be encrypted. One that is there stays what it is.
	Encrypt bool
}

// withDefaults fills what was left zero.
func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = vfs.OS{}
	}
	if c.SuperblockSize == 0 {
		c.SuperblockSize = 1 << 30
	}
	if c.Reserve == 0 {
		c.Reserve = c.SuperblockSize
	}
	if c.GarbageRatio == 0 {
		c.GarbageRatio = 1.0 / 64
	}
	if c.Overhead == 0 {
		c.Overhead = 0.1
	}
	if c.QueueLength == 0 {
		c.QueueLength = 256
	}
	if c.GroupBytes == 0 {
		c.GroupBytes = 32 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Fatal == nil {
		logger := c.Logger
		c.Fatal = func(err error) {
			logger.Error("store cannot go on: exiting", "err", err)
			os.Exit(1)
		}
	}
	return c
}

// Validate reports the first field that is out of bounds. Zero fields are fine.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Dir == "":
		return fmt.Errorf("superblock config: %w: Dir is empty", vstack.ErrInvalid)
	case c.SuperblockSize < format.MinFile || c.SuperblockSize > format.MaxFile || c.SuperblockSize%format.GroupAlign != 0:
		return fmt.Errorf("superblock config: %w: SuperblockSize %d, want a multiple of %d from %d to %d",
			vstack.ErrInvalid, c.SuperblockSize, format.GroupAlign, format.MinFile, int64(format.MaxFile))
	case c.Encrypt && c.Keys == nil:
		return fmt.Errorf("superblock config: %w: Encrypt without Keys", vstack.ErrInvalid)
	case c.Reserve < 0 || c.Capacity < 0:
		return fmt.Errorf("superblock config: %w: Capacity %d, Reserve %d, want none negative", vstack.ErrInvalid, c.Capacity, c.Reserve)
	case c.Capacity > 0 && c.Capacity < c.SuperblockSize+c.Reserve:
		return fmt.Errorf("superblock config: %w: Capacity %d, want at least one superblock (%d) and the reserve (%d)",
			vstack.ErrInvalid, c.Capacity, c.SuperblockSize, c.Reserve)
	case c.GarbageRatio <= 0 || c.GarbageRatio > 1:
		return fmt.Errorf("superblock config: %w: GarbageRatio %g, want 0 < ratio ≤ 1", vstack.ErrInvalid, c.GarbageRatio)
	case c.Overhead < 0 || c.Overhead > 10:
		return fmt.Errorf("superblock config: %w: Overhead %g, want 0 < overhead ≤ 10", vstack.ErrInvalid, c.Overhead)
	case c.QueueLength < 1 || c.GroupBytes < 1:
		return fmt.Errorf("superblock config: %w: QueueLength %d, GroupBytes %d, want both positive", vstack.ErrInvalid, c.QueueLength, c.GroupBytes)
	}
	return nil
}
