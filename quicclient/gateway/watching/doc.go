// Package watching tells a gateway who may watch a film: what the catalog says of it and of the
// keys of playback tokens, not older than Fresh, asked for when somebody asks for the film.
//
// Invariant: of a film that is private and one that there is not, callers without a token for it
// learn the same, after the same work.
package watching
