// Package forward sends what only the leader can do to the leader, and asks other members
// what they know.
//
// Invariants: a request is forwarded at most once; one whose leader is followed no longer
// is given up at once, with an unknown outcome if it was a write.
package forward
