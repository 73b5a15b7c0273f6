// Package intake reads what a client sends, within a size and above a rate, and lets it
// hear why when it is refused half way.
package intake
