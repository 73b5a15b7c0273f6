// Command vstack is every role of V-Stack and its command line in one binary.
//
// The package holds flags and wiring only: what a command does lives in the packages
// that it calls, and how results look in internal/console. docs/cli.md lists the
// commands; `vstack help` does too.
package main
