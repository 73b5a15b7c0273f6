// Package placed is what the catalog says of the placement: as the state that package
// reconfigure decides upon, and in the words of the readiness page. It keeps nothing.
package placed
