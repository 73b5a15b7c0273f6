// Package message is what ChunkPaxos says: the requests to an acceptor, its answers,
// the order of slots in their pages, and the rule by which reports show a value to be
// chosen.
//
//	request        asks                                       answer
//	Accept         for a vote; travels as the PUT of the bytes Accepted
//	Prepare        for a promise in one slot                  Promise
//	PrepareUpload  for a promise in every slot of an upload   UploadPromise, in pages
//	Seal           to end an epoch of a placement group       Sealed, in pages
//	Install        to begin an epoch with these votes         Installed
//	Query          what one acceptor holds                    SlotState
//
// Every request may be answered with a Nack instead: nothing was voted for or promised.
// A message that comes twice is answered twice; silence says nothing about what the
// acceptor did.
//
// The HTTP forms are in internal/wire, the machines that speak in chunkpaxos.
package message
