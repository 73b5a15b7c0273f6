// Package apikeys changes the list of API keys, which the catalog keeps. It is pure: members come
// to one list.
package apikeys
