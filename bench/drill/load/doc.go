// Package load is what clients do during a drill: they write to the catalog and read
// it, upload files and watch films, and record what they notice.
package load
