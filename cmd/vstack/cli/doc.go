// Package cli is what all commands of vstack share: the global flags, where output goes, the
// connection to the cluster that --cluster names, and the word before something destructive.
package cli
