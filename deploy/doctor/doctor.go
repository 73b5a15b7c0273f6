package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/vstack/vstack/deploy/config"
)

// State is how bad a finding is.
type State string

const (
	OK   State = "ok"
	Warn State = "warn"
	Fail State = "fail"
)

// Finding is the outcome of one check.
type Finding struct {
	Check  string `json:"check"` // "udp buffers", "disk /var/lib/vstack/meta"
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // the command that mends it
	Served int    `json:"-"`             // addresses that the host itself serves now
}

// Config says what to look at.
type Config struct {
	// Hosts are the configurations of hosts on this machine; none checks the machine alone.
	Hosts []*config.Server
	// FFmpeg and FFprobe are used when there are no hosts. Default: those in PATH.
	FFmpeg, FFprobe string
	// Peers are HOST:PORT of other roles whose clocks are compared, with the TLS
	// directory to ask them with; both may be empty.
	Peers []string
	TLS   string
}

// checkTimeout bounds one check that asks another program.
const checkTimeout = 10 * time.Second

// Run makes every check.
func Run(ctx context.Context, cfg Config) []Finding {
	findings := []Finding{udpBuffers(procNet), openFiles(), clock()}
	tools := [][2]string{{or(cfg.FFmpeg, "ffmpeg"), or(cfg.FFprobe, "ffprobe")}}
	if len(cfg.Hosts) > 0 {
		tools = nil
	}
	dirs := map[string]bool{}
	for _, h := range cfg.Hosts {
		findings = append(findings, certificate(h), owners(h), Ports(ctx, h))
		findings = append(append(findings, copies(h)...), dataKeys(h)...)
		for _, d := range hostDirs(h) {
			if !dirs[d.path] {
				dirs[d.path] = true
				findings = append(findings, disk(d))
			}
		}
		if pair := [2]string{h.Ingest.FFmpeg, h.Ingest.FFprobe}; h.Has(config.RoleIngest) && !contains(tools, pair) {
			tools = append(tools, pair)
		}
	}
	if len(tools) > 0 {
		findings = append(findings, ffmpegJail(cfg.Hosts))
	}
	for _, pair := range tools {
		findings = append(findings, ffmpeg(ctx, pair[0]), ffprobe(ctx, pair[1]))
	}
	if len(cfg.Peers) > 0 {
		findings = append(findings, skew(ctx, cfg.Peers, cfg.TLS)...)
	}
	return findings
}

// Worst is the worst state among findings.
func Worst(findings []Finding) State {
	worst := OK
	for _, f := range findings {
		if f.State == Fail || f.State == Warn && worst == OK {
			worst = f.State
		}
	}
	return worst
}

func finding(check string, state State, fix, format string, args ...any) Finding {
	return Finding{Check: check, State: state, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func contains(list [][2]string, pair [2]string) bool {
	for _, p := range list {
		if p == pair {
			return true
		}
	}
	return false
}
