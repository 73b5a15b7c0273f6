// Package soak lets long tests leave the figures of what they did, so that one summary
// can be made of them. A figure comes from the test that counted it, once that test has
// passed; internal/soak/summary adds them up and holds them to what is wanted.
package soak
