// Package uploader takes in a person's video file, cuts it into chunks, commits them
// and publishes the video.
//
//	POST /upload ──► incoming/ ──► probe ──► OpenUpload ──► jobs/ID/{source,job.json} ──► 202
//	                                                                │
//	                  one ffmpeg, one pipe a track                  ▼ when its turn comes
//	    ffmpeg ──► fragments ──► chunks ──► SHA-256 ──► Commit ×InFlight ──► manifest ──► Publish
//
// A file whose start says how to read the rest is cut while it arrives, by package early; its
// upload is opened before its size and hash are known.
//
// Words: a job is this process's work on one upload; an attempt is one run of it, under
// one incarnation; a job is interrupted when its process ended or the cluster was out
// of reach, and then continues as a new attempt; the spool is the directory of files
// that wait.
//
// Invariants:
//
//   - 202 means that the file and the job are on disk: a restarted uploader finishes
//     the job by itself.
//   - Whatever ends otherwise leaves nothing behind: no file in the spool, no open
//     upload in the catalog. An upload that another process resumed is left alone.
//   - What was accepted is not lost: a job whose state does not read is kept and told.
//   - A video is published with chunks of one cut only. A cut of another version, or one
//     that meets a slot with another chunk, goes to tracks of fresh numbers.
//   - Memory is bounded by Config: InFlight chunks on their way, over all jobs, and one
//     chunk and one fragment for each track of each running job. What is slow pushes
//     back through the pipes to ffmpeg.
//   - Nothing a client sends becomes part of a path or of a command line.
package uploader
