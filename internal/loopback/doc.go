// Package loopback gives tests addresses of their own. Members and stores must know each
// other's addresses before any of them listens, so that port 0 is no way for them.
package loopback
