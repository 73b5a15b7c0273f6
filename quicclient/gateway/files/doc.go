// Package files lays films out as virtual files: one track as an MP4 file, or the best picture and
// the first sound as another, of which any range can be served alone.
//
//	head: init chunks, joined │ index │ unit │ unit │ unit │ …     each a part of one chunk
//
// Nothing is written anywhere: a Layout says of which runs of chunks (package body) a range is made,
// and its sizes follow from the manifest alone. It does no I/O.
package files
