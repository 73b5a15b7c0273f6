// Package metaclient is the typed client of the metastore's REST API.
//
// A client knows the API addresses of several members and needs no leader: every
// member answers reads and forwards writes. Every answer names the list of members, and
// when that is another the client asks for it: the configured addresses are only where
// it begins, and where it returns to when nobody else answers. Each call
//
//   - tries every endpoint, beginning with the one that answered last, and goes
//     round again with jittered back-off until the context's deadline (or
//     Config.Timeout when there is none);
//   - carries one Vstack-Request-Id for all its attempts when it writes, so that a
//     retry after an unknown outcome is answered, not applied a second time;
//   - reads its own writes: the highest Vstack-Index seen is sent as min_index, and
//     a member that has not applied it yet waits for it;
//   - reads a bounded body.
//
// Errors unwrap to the sentinels of internal/vstack: those that the metastore
// answered, or ErrNoLeader and ErrTimeout when the deadline passed without an answer.
package metaclient
