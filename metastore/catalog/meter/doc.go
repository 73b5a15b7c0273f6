// Package meter holds the catalog's figures: commands by outcome, the time to apply a
// batch, and how many objects of each kind there are.
package meter
