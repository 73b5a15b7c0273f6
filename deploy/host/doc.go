// Package host runs the roles of one host in one process: it opens them in the order in
// which they need each other, runs them until its context ends or one of them breaks, and
// stops them the other way round within the grace period.
//
//	identity ─► catalog client ─► meta ─► data ─► ingest ─► gateway
//
// A role that ends by itself ends the process: a supervisor starts it anew, and the other
// hosts go on meanwhile.
package host
