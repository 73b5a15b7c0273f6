// Package order is what a client asks for when it uploads a file: the fields of the form
// of POST /upload, which are the metadata of a resumable upload too.
//
// Words: an order is what was asked, beside the file itself; its options are what decides
// the cut and the catalog's entry.
//
// Nothing of an order becomes part of a path or of a command line: the file's name is for
// display, and every other field is one of the words listed here, a number or an id.
package order
