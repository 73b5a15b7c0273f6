// Package pace says how fast something goes and how long the rest of it will take, by the last few
// seconds: of what counts up, and of bytes that are read.
package pace
