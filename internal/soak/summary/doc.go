// Command summary adds up the report of a soak, prints it, and exits with 1 if a figure
// is missing or less than what is wanted.
//
//	go run ./internal/soak/summary [-at-least NAME=N]… REPORT
package main
