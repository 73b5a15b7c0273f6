// Package access has the commands that say who may do what: tickets to upload with, and
// certificates that are revoked.
package access
