// Package abuse has what strangers do to a host on purpose, and what its honest clients notice
// meanwhile: the drill of that name.
//
//	Attack   one way to keep a host busy with little, in a file of its own
//	crew     the attackers of one process, "EXE bench part strangers": their keys are addresses
//	honest   readers of chunks and of the catalog, each with a key of its own, and a prober of /livez
//	Rig      a host, its honest clients, and the listener that nobody uses
//
// An attack is aimed twice, with the same strength, for the same time: beside the host, at a
// bare server that nobody uses, and at the host. What honest clients notice of the second and
// not of the first is what the host lets a stranger do. The attackers get a quarter of a
// processor, by a control group where there is one, else by being stopped three quarters of
// the time.
package abuse
