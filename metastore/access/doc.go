// Package access changes who may watch a video, and the keys of playback tokens, which the
// catalog keeps. It is pure: members come to the same.
package access
