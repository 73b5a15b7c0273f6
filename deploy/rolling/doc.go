// Package rolling exchanges the program of a cluster's hosts one by one.
//
//	for each host, the leader last:
//	  ok to stop? ─no─► wait, and say why
//	  stop ► upgrade ► start        by the operator's commands
//	  back? ─no─► wait, and say what is missing
//
// Invariants: a host is touched only when the cluster has just said that it can do without it;
// never two at a time; a host that was stopped is started again whatever goes wrong, and then
// no other is touched.
package rolling
