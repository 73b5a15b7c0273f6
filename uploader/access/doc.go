// Package access says who may upload, and who may cancel.
//
// An upload costs space until somebody deletes it, so that whoever reaches the port may only
// where the operator opened it. Otherwise it takes an administrator's certificate, or to be on
// this machine: listener and client both on loopback, and nobody in between who forwards for
// others. Or a ticket: a token that an administrator made and gave away, whose hash the catalog
// knows. What came with a ticket may be canceled with it.
package access
