// Package deliver brings one file from this machine to an uploader, whole, over connections that end
// and to hosts that die.
//
//	Run ── ready uploader ── create ── part ── PATCH ── … ── accepted
//	          ▲                          │ cut off: ask how far it is, go on there
//	          └── the host stays away ───┘ another one, from the first byte
//
// Words: a part is what an uploader has of a file (tus); an order is the fields beside it.
//
// Invariants: a part is gone on with at the host that has it, and where it stood; Begun has heard of
// a part before the first of its bytes is sent, so that another command can go on; a host that
// was lost is the last to be tried again.
package deliver
