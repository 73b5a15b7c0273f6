// Package strangers says which jobs of an uploader may be listed to those who show no certificate:
// those of videos that are listed themselves.
//
// The catalog is asked once in two seconds for all who ask here, however many they are, and one
// that does not answer keeps none of them for longer than one question takes. Who knows a job's id
// is told of it anyway; that is not decided here.
package strangers
