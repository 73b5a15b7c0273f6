// Package cmcd reads what a player says of itself beside a request: Common Media Client
// Data (CTA-5004, and the keys of version 2 that mean the same), in a query argument or in
// four headers.
//
// What is said is a stranger's word: it is bounded, checked for its form, and good for
// figures only.
package cmcd
