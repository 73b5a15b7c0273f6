// Package asked reads what a request says: its id, numbers, pages, its body, and what of the
// answer the client has already.
package asked
