// Package tickets changes the list of tickets to upload with, which the catalog keeps. It is
// pure: members come to one list.
package tickets
