// Package access has the commands that say who may do what: tickets to upload with.
package access
