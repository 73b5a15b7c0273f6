// Package permit says what a store must hold, what it may claim to hold, and what it may
// drop. It is pure: what the view says and what the disk has in, claims and permissions
// out. The converge loop does the work; the simulator of this package runs whole clusters
// of it.
//
// Words:
//
//   - A piece of a chunk is all of it, or one fragment of a Reed-Solomon scheme.
//   - ClassIndex of a video is the Raft index of its last class change or publish. Titles,
//     views and policies do not touch it.
//   - A store's claim C of a group is the highest index through which it lacks nothing of
//     the group: it holds what it must of every video whose ClassIndex is at or before it.
//     What is damaged counts as lacking.
//   - W of a group, told by the leader, is the lowest claim of all targets of the epoch in
//     force, each of them up, each surveyed in that epoch and by the process that runs now.
//     S is the highest view index that those targets were surveyed at.
//
// The only rule by which bytes go: a store drops a piece when
//
//  1. its survey does not want it, for any reference to the chunk;
//  2. for every reference, to a video v in group g: W[g] ≥ ClassIndex(v), the view's epoch
//     of g is W's, and the view is complete through S[g];
//  3. readers' grace is over since 2 held first;
//  4. no vote and no restore keeps it, and the store knows every group that it was in.
//
// What no living video refers to needs 1, 3 and 4. Claims are told from the survey that
// was dropped by, and only after the drops: so nothing that was claimed is dropped by an
// older plan. Below the feature level that keeps class indices, 2 never holds.
package permit
