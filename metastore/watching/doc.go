// Package watching keeps private videos from who may not watch them, in what a member answers:
// hosts and administrators see all, others what is public in listings, what is unlisted by its
// id, and what is private with a playback token for it.
package watching
