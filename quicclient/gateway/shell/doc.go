// Package shell answers the files of the pages, with what browsers are to know of them: which
// scripts run, what they may reach, and that no address is told to others.
package shell
