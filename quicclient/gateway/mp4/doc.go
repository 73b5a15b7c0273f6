// Package mp4 makes one file of several CMAF tracks, without touching a sample.
//
//	ftyp  moov{mvhd, trak 1, trak 2 …, mvex{mehd, trex 1, trex 2 …}}  sidx
//	  moof{mfhd, traf 1} mdat  moof{mfhd, traf 2} mdat  moof …
//
// Each track's init chunk has the movie of one track, numbered by ffmpeg as it liked;
// here the tracks are numbered 1, 2, … in the order given. A fragment keeps its length
// when its track number changes, so the layout of the whole file follows from the sizes
// in the manifest, and any range of it can be made alone.
//
// The package is pure: bytes in, bytes out. What it reads was verified by SHA-256 and made
// by the uploader, yet every length is checked.
package mp4
