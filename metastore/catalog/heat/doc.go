// Package heat is how views count for a video's class: views that decay. It is pure, and
// works in integers, so that all members come to the same figures.
//
// Words: *heat* is views in thousandths. A *step* takes an eighth of the half-life: eight of
// them leave half. Steps are counted by the catalog, which is told by a command when one has
// passed; a row of views notes through which step its heat is right, and is brought up to date
// by whoever reads or adds to it. So a step costs the same however many videos there are.
package heat
