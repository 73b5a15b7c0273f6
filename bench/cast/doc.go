// Cast makes a moving picture, one SVG file, of what terminals showed: the recordings in
// the documentation.
//
//	script -qec COMMAND -O a.out -T a.time        util-linux records a terminal
//	cast -o film.svg a.out,a.time b.out,b.time    two panes, one below the other
//
// Words: a recording is what a program wrote to a terminal, and a list of "seconds bytes"
// that says when; a pane is the screen of one recording; a frame is what all panes show
// until the next change. Recordings of one picture began at the same moment.
//
// A screen knows what the progress bars and tables of this project use: carriage return,
// line feed, moving the cursor, clearing, colours. It is no terminal emulator.
//
// The SVG has each different line once, each frame as a row of references, and one
// animation of CSS that moves from frame to frame. It runs wherever pictures run, without
// a script.
package main
