// Package toolcheck answers whether FFmpeg can be run, many times a second, without asking it
// as often.
package toolcheck
