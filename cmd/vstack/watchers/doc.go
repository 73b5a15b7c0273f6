// Package watchers has the commands about who may watch: visibility, playback tokens and their
// keys.
package watchers
