// Package subtitle makes WebVTT of the subtitles that people have: SubRip, WebVTT, SSA and
// ASS, TTML, in UTF-8, UTF-16 or Windows-1252, told apart by what they hold.
//
// Words: a cue is a text with its time; a chunk is a run of cues as a WebVTT document of
// its own, that ends where no cue is shown.
//
// Invariants: a document that is written has one blank line between cues and none inside;
// what a file says of styles, regions and notes is left out; the same file gives the same
// bytes.
package subtitle
