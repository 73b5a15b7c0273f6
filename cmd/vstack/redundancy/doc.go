// Package redundancy has the commands about how all videos lie: as copies, or as fragments.
package redundancy
