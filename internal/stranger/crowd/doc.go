// Package crowd has one client of each kind, honest or not: tests ask every route as each of
// them, and hold what they are told to the route's roles.
package crowd
