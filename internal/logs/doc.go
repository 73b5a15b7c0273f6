// Package logs is how every role writes its log: one line an event, on whatever slog handler is
// below, with three things added.
//
//   - A key stands once in a line: what is said last, nearest to the event, is kept.
//   - A line that is written under a request's context carries the request's trace id, which
//     goes through all roles that the request reaches, as trace.
//   - Lines of one level and message are bounded by rate: a stranger who makes a role say the
//     same thing a thousand times a second fills no disk. The next line of the kind says how
//     many were left out, as unsaid. Debug lines are not bounded: who asks for them wants all.
//
// Levels: error is for what somebody must look at; warn for what mends itself or is refused, if
// it goes on; info for what an operator wants to find later: who did what, what changed its
// state; debug for everything else.
package logs
