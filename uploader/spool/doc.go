// Package spool is the directory where an uploader's files wait: those that arrive and
// those that their jobs work on.
//
//	DIR/lock                 held while a process owns the spool
//	DIR/incoming/ID/         a part: a file that arrives, under a random name
//	DIR/incoming/ID/source   its bytes
//	DIR/incoming/ID/about    what the client said of it; only parts that can be resumed have one
//	DIR/incoming/ID/synced   how far its bytes are on disk
//	DIR/incoming/ID/job.json the state of the job that has begun on it while it arrives
//	DIR/jobs/UPLOAD/source   a whole file
//	DIR/jobs/UPLOAD/job.json the state of the job that works on it
//	DIR/texts/SHA256         a text that belongs to a film, until some days after its last use
//	DIR/done/UPLOAD.json     the last state of an ended job, for its readers
//
// A spool with a data key is encrypted: a source as package source says, with source.key beside
// it, and each small file and each mark as a note of package sealed.
//
// Every part of a path is an identifier that this process made or parsed.
//
// A part is hashed as it is written, and never read again for it: each mark in synced
// keeps the state of the hash. The file holds two marks, written in turn; of the two the
// one that is whole and further counts, so that a torn write costs one mark, not both.
//
//	 0       8                    124     128
//	┌───────┬──────────────────────┬───────┐
//	│ bytes │ state of SHA-256, 0… │ CRC32C│   big endian, at 0 and at 128
//	└───────┴──────────────────────┴───────┘
//
// Invariants:
//
//   - Bytes below the last mark are on disk, and the mark was written after them. What
//     lies beyond is cut off when a part is opened again: it may be what the disk made
//     of it.
//   - A part becomes a job in one step, the rename of its directory, after its bytes and
//     the job's state were fsynced.
//   - Nothing that was answered for is removed because it does not read. A job whose
//     state is torn, of another version or behind an error of the disk is kept and told.
package spool
