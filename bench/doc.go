// Package bench measures V-Stack beside a baseline, in one run.
//
// Machines are noisy, so a figure alone says little. A Scenario measures ours and a
// baseline in alternating rounds (ours, base, base, ours, …) and reports the ratio of
// each neighbouring pair: the median is the verdict, the quartiles its trust. The
// cluster that is measured is a real lab: one process a host, on loopback, on disk.
//
//	Scenario ── Row (one comparison, several Pairs) ── ratio, bound, reached?
//	Report   ── rows of all scenarios, machine, commit; JSON and table; Compare
//
// Bounds are stated by the scenario and judged by the report; nothing here retries
// until a bound is met.
package bench
