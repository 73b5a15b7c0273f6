// Package stranger has clients as nobody should be: tests and drills aim them at a server and
// see what its honest clients notice.
//
//	Deaf ── one HTTP/2 connection that asks for much and takes nothing of any answer
package stranger
