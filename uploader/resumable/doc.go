// Package resumable is upload by the tus protocol, version 1.0, with creation,
// creation-with-upload and termination. The protocol is tusd's; the files are parts of
// the spool, kept for a day after their last byte.
//
//	POST   /files       Upload-Length, Upload-Metadata ──► a part, its URL
//	PATCH  /files/ID    Upload-Offset, bytes           ──► appended
//	HEAD   /files/ID                                   ──► how far it is
//	GET    /files/ID                                   ──► the same, and what became of it, as JSON
//	DELETE /files/ID                                   ──► given up
//
// The last byte makes the part an upload with a job: the answer to that PATCH names them
// in headers, and so does every HEAD after it, because that answer may be lost. What
// cannot be accepted yet, for the cluster is out of reach, stays whole in the spool; a
// PATCH without bytes tries again, and so does a loop of this process.
//
// A part's URL has 128 random bits: who knows it may go on with it. To create a part and
// to give it up is for those that Config.Gate lets.
//
// Invariant: an answer that says N bytes is given after they are on disk.
package resumable
