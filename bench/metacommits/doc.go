// Package metacommits measures small durable commits of the metastore beside a three-member etcd's
// on the same disk: titles of 48 bytes against keys of that size, by clients that each have a
// connection of their own to the leader.
package metacommits
