// Package labs has the commands that make hosts, their certificates and configurations, and
// that change what a host is: its address, its roles.
package labs
