// Package redundancy judges how videos lie: which of them should be copies and which
// fragments by their views, what the way there takes, and what may fail meanwhile. It is
// pure: the catalog, what stores said of themselves, and a clock's reading in; figures out.
//
// Words:
//
//   - A video *should* cool when its popularity has fallen below the policy's threshold and it
//     is old enough, and warm when it has risen above the other. Between the two it stays.
//   - A video *bears* the loss of so many hosts, or so many stores, chosen worst, when every
//     chunk of it stays readable. The figure is made of what stores say that they hold, and so
//     is a lower bound: what is not said is not held.
//
// Invariants: a video's own policy comes first; no decision is made of what this process
// remembers alone, so that a new leader decides the same.
package redundancy
