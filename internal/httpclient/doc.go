// Package httpclient is how an operator's command and the tools around a cluster ask a
// role over HTTP: TLS 1.3, JSON, problem+json, and a bound on every wait.
//
// A process that was stopped still takes connections, in its kernel, and never answers;
// one that was stopped in the middle neither takes nor gives another byte. So connecting
// has a timeout, the answer's header has one, which begins behind the request's last
// byte, and a body has one for the time in which nothing of it moves, in both
// directions. A body that moves may take as long as it likes; the caller's context
// bounds the whole.
//
// Invariants:
//   - No call outlasts its context, nor a peer that stands still by more than the
//     longest of the timeouts.
//   - A wait that was too long is vstack.ErrTimeout, a peer that cannot be reached
//     vstack.ErrUnavailable, a refusal what wire.ReadError makes of it.
package httpclient
