// Package answers writes what the metastore answers: JSON that no cache keeps unless the handler says
// so, and errors as problems, of which the program's own are logged. Package asked reads the requests.
package answers
