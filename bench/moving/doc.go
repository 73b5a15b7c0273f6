// Package moving has films flip between copies and fragments, by their views, while they are
// read in every way there is and a host dies: on a real lab, through its policy and its clock.
// Views count half after 8 s, so that a film goes there and back in half a minute.
package moving
