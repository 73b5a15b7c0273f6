// Package board shows a playback's stores while it runs: who is asked, how quick and how lossy the
// way to it is, what it owes and what it brought.
//
//	signals of the client, events of the playback ─► Board ─► lines on a terminal, or JSON
package board
