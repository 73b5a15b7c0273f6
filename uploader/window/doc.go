// Package window shares the bytes of chunks on their way to the stores among the jobs of
// an uploader: fairly, and so that a job whose stores are away stops no other.
package window
