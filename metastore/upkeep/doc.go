// Package upkeep says of what an operator wants to do to stores and hosts whether it can be
// done, and of what was ordered how far it is and what it waits for. It is pure: it decides
// upon the catalog and what stores said of themselves.
package upkeep
