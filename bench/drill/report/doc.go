// Package report collects what a drill's clients saw and tells it: to people as a table
// and a page that stands alone, to programs as JSON, and to both as verdicts on bounds.
//
//	loads ──► Recorder: timings (HdrHistogram), counters, failures in words
//	drill ──► Timeline ──► Repetition: one fault, what followed when, longest gap
//	                          └──► Report ──► verdicts of Assertions ──► HTML, JSON, table
//
// The words: a timing is a distribution of durations, a counter how often something
// happened, a figure either; an Assertion is a bound on a figure and a Verdict what it
// came to.
//
// Invariants: a figure that nothing was measured of misses every bound; within a schema
// fields are only added; what a report keeps in words is bounded.
package report
