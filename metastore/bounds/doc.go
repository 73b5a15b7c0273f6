// Package bounds shares what a member of the metadata cluster can do at a time among those who
// ask: requests in flight, and the memory of the answers that are made and sent.
//
//	request ── Admit ──► its turn, by certificate or address ──► handler ──► done
//	                       hosts of the cluster apart from all others
//
// Invariants: an answer's memory is taken before it is made; strangers, however many, take
// nothing from hosts; who is let in is let out once.
package bounds
