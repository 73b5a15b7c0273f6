// Package show puts into words and tables, for people, what package cluster did or found:
// uploads, jobs, tracks, and which store sent how much of a playback.
package show
