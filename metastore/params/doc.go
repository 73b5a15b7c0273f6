// Package params has the parameters and errors that several routes of the metastore share.
package params
