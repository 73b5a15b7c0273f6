// Package readers has many clients read whole chunks of one server at once, each with an
// address and a connection of its own, and tells what they got and what the server's process
// had for it: memory and processor time.
package readers
