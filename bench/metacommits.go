package bench

import (
	"context"
	"errors"
	"os/exec"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/metacommits"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/quicclient"
)

// runMetaCommits compares small durable commits of the metastore with those of a
// three-member etcd on the same disk: one title against one key of the same size. Each
// client has a connection of its own, to the leader, with mutual TLS, on both sides.
func runMetaCommits(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var beside *baseline.Etcd
	program, missing := exec.LookPath("etcd")
	if missing != nil {
		opt.Progress("  SKIPPED the baseline: no etcd in PATH (Debian: etcd-server); figures of ours alone, unjudged")
	} else {
		if beside, err = c.Site().StartEtcd(ctx, program); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, beside.Close()) }()
	}
	return metacommits.Run(ctx, metacommits.Options{
		Hosts: c.Lab.Hosts, ID: c.ID, Meta: c.Meta, Beside: beside, Rounds: opt.Rounds, Progress: opt.Progress,
	})
}
