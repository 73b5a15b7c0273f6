// Package views counts views on one member until the leader has committed them, and counts a
// viewer once an hour.
//
// Words: a batch is what a member counted in an interval; it is sent under one number until
// it is confirmed, so that it counts once. A viewer is a certificate or an address.
//
// Views of gateways and administrators, who speak for many, are counted on the member that
// was asked. A single view of anybody else goes to the leader, whose memory of the hour is
// the one that counts; where there is no leader, to that of the member that was asked. So a
// viewer counts once an hour, and once more after an election.
package views
