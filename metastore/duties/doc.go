// Package duties are what a member does for the cluster while it leads: it assigns placement,
// judges stores by their heartbeats, moves placement groups to their next epoch, shares roles
// out, and takes videos from one class to the next. A duty decides upon the catalog and what
// stores said of themselves, and commits commands; it keeps nothing that the next leader
// would miss.
package duties
