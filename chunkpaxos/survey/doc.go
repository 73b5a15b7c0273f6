// Package survey resumes an upload: it collects one ranged prepare from every acceptor,
// and tells which slots are chosen, and need not be sent again, and in which ones the
// new owner may use round 0. It is as pure as the machines of chunkpaxos: pages go in,
// the next page to ask for comes out.
package survey
