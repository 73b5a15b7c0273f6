// Package gauges is what a datanode's metrics say of each store's disk: its space, by what it
// is taken, and when its bytes were last checked. Figures are read when they are asked for.
package gauges
