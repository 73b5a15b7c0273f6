package vstack

import "crypto/sha256"

// A ProposerID of a host says whose it is, so that what it owns can be told from what
// others own wherever its id is, without a row of its own:
//
//	bytes 0–7   SHA-256 of "vstack proposer of " and the host's id, its first 8 bytes,
//	            with UUID version 8 in the upper half of byte 6
//	bytes 8–15  random, with the UUID variant in the upper two bits of byte 8
//
// Ids of programs from before that are random (version 4), and nobody's.

// ProposerOf makes the id of a proposer of a host out of 8 random bytes.
func ProposerOf(host HostID, random [8]byte) (p ProposerID) {
	sum := sha256.Sum256([]byte("vstack proposer of " + host))
	copy(p[:8], sum[:8])
	copy(p[8:], random[:])
	p[6] = p[6]&0x0f | 0x80
	p[8] = p[8]&0x3f | 0x80
	return p
}

// Owned reports whether the id says whose it is.
func (p ProposerID) Owned() bool { return p[6]>>4 == 8 }

// Alongside reports whether a proposer may fill the slots of an owner's upload: those of
// the owner's host may, and anybody where the owner is nobody's.
func (p ProposerID) Alongside(owner ProposerID) bool {
	return !owner.Owned() || p.Owned() && [8]byte(p[:8]) == [8]byte(owner[:8])
}

// Of reports whether the id is of a host's proposer.
func (p ProposerID) Of(host HostID) bool {
	mine := ProposerOf(host, [8]byte{})
	return p.Owned() && [8]byte(p[:8]) == [8]byte(mine[:8])
}
