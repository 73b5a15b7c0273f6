// Package reconfigure decides which placement groups move to their next epoch, with
// which targets, and which store drives it. It is pure: a placement map, what stores
// said of themselves and a time in, preparations for the catalog out.
//
// Words: a group is preparing while the map has a Next for it; an attempt is one Next,
// driven by one store; a newcomer is a target of Next that is none of the epoch in
// force.
//
// A group moves because a target is leaving (it is dead, or an operator said so) or
// because an acceptor is amnesic: then the targets stay, and the promises that it forgot
// end with the epoch.
//
// Invariants:
//
//   - No more than Window groups prepare at once, those apart that lack a majority.
//   - An attempt is issued only where a majority of the old acceptors may seal and one of
//     the new ones install; a group that lacks it waits and costs nothing.
//   - An attempt gets its time before it is overtaken, each one twice that of the one
//     before it up to eight times, unless its driver is suspect, down or silent: then the
//     next one is issued at once, to a driver that is none of these.
//   - The memory is the time since when an attempt is out. A new leader has none, so it
//     gives every attempt its whole time again; all else is in the catalog.
package reconfigure
