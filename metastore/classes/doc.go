// Package classes decides the next step of videos' classes. It is pure: what changed in the
// catalog, through which index groups are whole, and the placement map in; steps for the
// catalog out.
//
//	hot ─► cooling ─(whole)─► cold ─► warming ─(whole)─► hot
//	 ↖──────┘ the policy changed       ↖──────┘
//
// Words: a video *should be* hot or cold as its policy says; with the policy auto as its
// popularity asks for (package redundancy), and where that asks for nothing it stays where it
// is, and ends what is under way. While moves are *paused* there are no steps but those that
// undo one. A step that ends a transition waits until every
// group of the video is whole through its ClassIndex (package reconfigure).
//
// Invariants:
//
//   - Each step names the class and the ClassIndex that it was decided upon, so that one that
//     was decided upon an older state changes nothing. Leaders may change at any moment: all
//     that a Planner remembers is in the catalog, which tells it again.
//   - No more than Window videos are on their way at once, and no more than there is room
//     for: until it has arrived each takes more space than before and after. With room for
//     one at a time they go one after the other.
//   - Bytes are not at stake here: stores drop by what all targets hold (datanode/permit),
//     whatever is committed.
package classes
