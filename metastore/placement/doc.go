// Package placement plans which stores a placement group's targets are. It is pure:
// stores in, groups out, no clock, no randomness and no map order, so that a plan
// can be recomputed and compared anywhere.
//
// Words: a target's role is lead (index 0), acceptor (index below vstack.Acceptors,
// the lead included) or tail (the rest).
//
// What a plan promises, and the property tests hold it to:
//
//   - targets of a group are distinct; there are min(5, stores) of them;
//   - acceptors of a group are on three hosts where there are three, else as spread
//     as the hosts allow; all targets together too: no host holds two more targets
//     of a group than a host that has an unused store;
//   - targets and acceptor roles are shared equally: ±1 between stores wherever hosts have
//     equally many stores, and as equal as the spread allows otherwise;
//   - leads are as equal as the acceptor roles allow: no chain of swaps inside groups
//     makes them more equal.
//
// Replace gives the roles of stores that leave to others, and moves nothing else. It
// costs no group a host among its acceptors: a role that only a worse spread could fill
// stays where it is, so that a lost host which returns finds its roles, and a plan made
// again from the result changes nothing.
//
// Balance gives every store its share of the roles, by weight, and moves hardly more than
// what the new stores get; Step cuts the way of a group there into changes of one store.
//
// Ties are broken by a hash of (group, store), which scatters the combinations of
// stores over the groups: the load and the repair of a lost store fall on many.
package placement
