package cluster

import (
	"context"

	"github.com/vstack/vstack/internal/cluster/verify"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

// VerifyReport is the outcome of Verify.
type VerifyReport = verify.Report

// Verify asks each holder that the catalog names for its copy, or its fragment.
func (c *Cluster) Verify(ctx context.Context, prog *console.Progress, id vstack.VideoID, deep bool) (VerifyReport, error) {
	v := verify.Verifier{Meta: c.Meta, Web: c.web}
	return v.Video(ctx, prog, id, deep)
}
