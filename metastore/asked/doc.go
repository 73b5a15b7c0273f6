// Package asked reads what a request says beside its body: its id, numbers, pages.
package asked
