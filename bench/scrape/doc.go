// Package scrape reads the metrics of a running process at one moment, and what happened
// between two.
package scrape
