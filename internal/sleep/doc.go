// Package sleep waits for a time that a context may cut short: what pauses before it tries again
// waits by it, and so ends when its caller does.
package sleep
