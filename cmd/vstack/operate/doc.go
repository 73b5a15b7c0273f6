// Package operate has the commands that keep a cluster: its hosts, its stores and its
// metadata members. They ask and order; what they order is done by the cluster itself.
package operate
