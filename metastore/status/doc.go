// Package status says how a member of the metadata cluster is: to other members, of which it is one,
// and to whoever asks whether it is ready.
//
// It asks Raft and the catalog and changes nothing. A member is ready when it belongs to a cluster and
// leads it or follows its leader.
package status
