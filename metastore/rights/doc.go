// Package rights has the routes about who may do what: tickets, revocations, keys of playback
// tokens, API keys. A Desk, which is a member, shows the catalog and commits what they propose.
package rights
