// Package child starts programs that never outlive their owner: a child is in a process
// group of its own, which is killed when its context ends, and on Linux it dies with this
// process, too, however that ends.
package child
