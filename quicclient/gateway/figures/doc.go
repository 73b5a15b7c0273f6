// Package figures makes rates and sums, the figures of the history that pages draw, of what
// stores count since they started.
package figures
