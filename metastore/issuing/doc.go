// Package issuing renews the certificates of hosts on a member that has the cluster's issuing
// key: under the certificate with which a host asks, it gets one with the same name,
// addresses and roles, for a new key. Nothing of it is in the catalog.
package issuing
