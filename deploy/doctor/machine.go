package doctor

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// procNet is where Linux shows its socket limits.
	procNet = "/proc/sys/net/core"
	// udpBuffer is the socket buffer that the QUIC library asks for, in bytes.
	udpBuffer = 7 << 20
	// wantFiles is how many descriptors a busy host uses: a connection a player and
	// store, and every open superblock.
	wantFiles = 8192
)

func udpBuffers(dir string) Finding {
	const check = "udp buffers"
	const fix = "sudo sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000"
	smallest := int64(0)
	for _, name := range []string{"rmem_max", "wmem_max"} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return finding(check, OK, "", "not known on this system: %v", err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(body)), 10, 64)
		if err != nil {
			return finding(check, Warn, "", "%s: %v", name, err)
		}
		if smallest == 0 || n < smallest {
			smallest = n
		}
	}
	if smallest < udpBuffer {
		return finding(check, Warn, fix, "at most %d KiB, QUIC wants %d KiB: fast reads may lose packets", smallest>>10, udpBuffer>>10)
	}
	return finding(check, OK, "", "up to %d KiB", smallest>>10)
}

func openFiles() Finding {
	const check = "open files"
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return finding(check, Warn, "", "%v", err)
	}
	// The Go runtime raises the soft limit to the hard one.
	if lim.Max < wantFiles {
		return finding(check, Warn, "LimitNOFILE=65536 in the systemd unit, or ulimit -Hn 65536", "limit %d, a busy host wants %d", lim.Max, wantFiles)
	}
	return finding(check, OK, "", "limit %d", lim.Max)
}

// wantEncoders are what transcoding needs beyond stream copy.
var wantEncoders = []string{"libx264", "aac"}

func ffmpeg(ctx context.Context, program string) Finding {
	check, fix := "ffmpeg", "sudo apt-get install -y ffmpeg"
	version, err := versionOf(ctx, program)
	if err != nil {
		return finding(check, Fail, fix, "%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-hide_banner", "-v", "error", "-encoders").Output()
	if err != nil {
		return finding(check, Fail, fix, "%s -encoders: %v", program, err)
	}
	for _, enc := range wantEncoders {
		if !bytes.Contains(out, []byte(" "+enc+" ")) {
			return finding(check, Warn, fix, "version %s has no encoder %s: only files that need no transcoding can be stored", version, enc)
		}
	}
	return finding(check, OK, "", "version %s", version)
}

func ffprobe(ctx context.Context, program string) Finding {
	version, err := versionOf(ctx, program)
	if err != nil {
		return finding("ffprobe", Fail, "sudo apt-get install -y ffmpeg", "%v", err)
	}
	return finding("ffprobe", OK, "", "version %s", version)
}

// versionOf reads the third word of "ffmpeg version 5.1.6 …".
func versionOf(ctx context.Context, program string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-version").Output()
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(out))
	if len(words) < 3 || words[1] != "version" {
		return "", errors.New(program + " -version does not look like FFmpeg")
	}
	return words[2], nil
}
