// Package conns is what the API of a member does with connections beyond net/http: it closes
// those that ask nothing when it stops, and bounds a long transfer by its progress and not
// by its length.
package conns
