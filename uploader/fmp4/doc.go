// Package fmp4 reads the fragmented MP4 (CMAF, ISO/IEC 14496-12 and 23000-19) that
// FFmpeg writes to a pipe, one track a stream, and groups its fragments into chunks.
//
//	ftyp │ moov            Init: codec, timescale, dimensions …
//	moof │ mdat            Fragment: at most vstack.MaxChunkSize bytes together
//	moof │ mdat            …
//
// Words:
//
//	fragment      one moof box and the mdat box after it
//	decode time   tfdt, in ticks of the track's timescale
//	shift         whole seconds by which the writer's clock runs ahead, so that a track
//	              whose first frames lie before zero (audio priming, reordered frames)
//	              still has decode times ≥ 0. The reader takes the shift out again.
//	edit offset   what is left: decode time of presentation time 0. Where it is not 0 it
//	              is written into the init segment as one edit-list entry, which players
//	              and FFmpeg apply alike, so tracks read from separate files stay in sync.
//
// Invariants: memory is bounded by one moov (MaxInit) or one fragment
// (vstack.MaxChunkSize) for a Reader, and by one chunk and one fragment for a Cutter;
// a box's stated size is never trusted beyond those bounds; the same stream always
// gives the same init segment, the same fragments and the same chunks.
//
// An edit list as this package inserts it, big-endian, after tkhd in moov/trak:
//
//	offset size
//	 0     4    44
//	 4     4    "edts"
//	 8     4    36
//	12     4    "elst"
//	16     4    0x01000000   version 1
//	20     4    1            one entry
//	24     8    0            segment duration: all of the fragments
//	32     8    edit offset  in the media's timescale
//	40     4    0x00010000   rate 1
package fmp4
