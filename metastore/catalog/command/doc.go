// Package command is what the metastore's log says: the commands, their payloads, what is wrong
// with a payload's fields whatever the catalog holds, and what a command leaves for its proposer.
//
// An entry is JSON, {type, version, payload, request_id, time}. Types are never renamed or
// reused, and decoding is strict: an entry with a field that this program does not know was
// written by a newer one, and skipping the field would build another catalog from one log.
package command
