// Package inbox is the receiving half of an emulated socket for datagrams: what waits for its
// reader, bounded as a kernel bounds it, and the reader's deadline.
package inbox
