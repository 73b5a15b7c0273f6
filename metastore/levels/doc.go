// Package levels judges whether the feature level of a cluster may be raised: from what the
// members say of themselves, and what stores reported to the leader. It is pure.
//
// A member that does not answer, and a store that is not down and has not reported, holds a
// raise up as one of vstack.LevelFirst does; a store that is down does not.
package levels
