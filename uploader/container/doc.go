// Package container looks into an uploaded file without FFmpeg: at what FFmpeg forgives,
// hides or does not say, and that decides whether a stream may be copied.
//
//	file ──► Look ──► Facts: what is wrong with the file, and of each track its sample
//	                         descriptions, edits, encryption, language …
//
// Words: a track is what the file's own header calls one; its Number is FFmpeg's stream
// id for MP4, and its place in the header for Matroska.
//
// Invariants: reads are bounded (maxHeader, maxBoxes, maxTags) whatever sizes a file
// states; nothing here judges picture or sound; a file that is not understood gives empty
// Facts and no error, since FFmpeg judges it next.
package container
