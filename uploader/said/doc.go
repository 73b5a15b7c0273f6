// Package said keeps what FFmpeg says, within a bound, and puts it into words for people.
package said
