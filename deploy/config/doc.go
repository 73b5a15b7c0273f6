// Package config reads the configuration of a host (vstack.yaml of `vstack server`)
// and of a client bundle (vstack.yaml beside the certificates that a person uses).
//
// Precedence: flags, then VSTACK_* environment, then the YAML file, then defaults.
// The environment name of a key is VSTACK_ and the key in upper case with "_" for
// ".": meta.dir is VSTACK_META_DIR. Lists of plain words are separated by commas;
// lists of records (meta.peers, data.stores) come from the file only.
//
// A key that the program does not know is an error, so that a misspelt limit is not
// silently without effect. Relative paths count from the file's directory, so that a
// bundle can be moved. Sizes read and print as 64GiB, durations as 1m30s.
package config
