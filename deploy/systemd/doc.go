// Package systemd sets a machine up around a host's directory: the program, the account, the
// kernel's settings and the unit. What it does is a shell script, so that what it prints for
// somebody to read is what it would run.
package systemd
