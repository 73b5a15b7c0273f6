// Package watch says who may watch a private video: playback tokens, how requests carry them,
// and whether one is good now. It is pure but for a clock that is handed in.
//
// A *playback token* is a JWT (RFC 7519) signed with Ed25519, and of no other algorithm:
//
//	header   {"alg":"EdDSA","kid":KEY,"typ":"JWT"}, and nothing else
//	claims   video: the video's id
//	         iat, exp: Unix seconds of its issue and its end, both required
//	         nbf: not before, optional
//	         net: an address or a prefix of addresses that may use it, optional
//
// Invariants:
//
//   - A signature is judged by the key of the catalog that the header names, and by Ed25519.
//   - What is remembered of a token is that its signature was good under a key, and what it
//     says. Time, revocations, video and address are judged anew at each use.
//   - A token says when it was issued, not in the future, and lives for MaxLife at most, so that
//     "none issued before now" takes every token there is.
//   - Whatever handles a request behind Carry sees the token in one header and nowhere else.
package watch
