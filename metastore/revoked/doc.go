// Package revoked changes the list of revocations of certificates, which the catalog keeps. It
// is pure: members come to one list.
package revoked
