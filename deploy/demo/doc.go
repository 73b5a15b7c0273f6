// Package demo is `vstack demo`: it starts a lab of its own, stores a video, plays it
// back through the smart client with every chunk checked, reads and hashes every copy,
// tells what happened and what to try next, and serves until it is told to end.
//
// Words: a lab is the hosts of deploy/lab, one process each; the clip is what ffmpeg
// draws when the person names no file.
//
// Invariants: a run that ends, for whatever reason, leaves no process behind, and no
// directory that nobody asked for; what it prints was measured in this run.
package demo
