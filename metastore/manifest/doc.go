// Package manifest holds manifests to their rules before the catalog takes them: a
// published manifest never changes, and players and stores rely on every one of them. It also has their binary form and their digest.
package manifest
