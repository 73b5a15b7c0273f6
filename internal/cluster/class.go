package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
)

// classPause is the time between two looks at a video that changes its class.
const classPause = 500 * time.Millisecond

// AwaitClass waits until a pinned video is in the class that its policy asks for, and says
// what it waits for whenever that changes.
func (c *Cluster) AwaitClass(ctx context.Context, say func(format string, args ...any), v vstack.Video) (vstack.Video, error) {
	type step struct {
		class   vstack.StorageClass
		waiting int
	}
	if level := c.Meta.Level(); level < vstack.LevelFragments && v.Policy == vstack.PolicyCold {
		return v, console.Hint(fmt.Errorf("video %s: %w: the cluster is at feature level %d, and videos cool from %d on", v.ID, vstack.ErrNotReady, level, vstack.LevelFragments), "vstack raft level raise")
	}
	var told step
	for {
		if string(v.Class) == string(v.Policy) || v.Policy == vstack.PolicyAuto && (v.Class == vstack.ClassHot || v.Class == vstack.ClassCold) {
			return v, nil
		}
		at, err := c.Meta.VideoPlacement(ctx, v.ID)
		if err != nil && !metaclient.Passes(err) {
			return v, err
		}
		if now := (step{at.Class, at.Waiting}); err == nil && now != told {
			told = now
			say("%s: %d of %d placement groups have a store that still lacks something", now.class, at.Waiting, at.Groups)
		}
		select {
		case <-time.After(classPause):
		case <-ctx.Done():
			return v, ctx.Err()
		}
		if now, err := c.Meta.Video(ctx, v.ID); err == nil {
			v = now
		} else if !metaclient.Passes(err) {
			return v, err
		}
	}
}
