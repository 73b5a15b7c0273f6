// Package checkup judges a running cluster from an administrator's machine: it asks the
// cluster for what it knows of itself, and each listener for its certificate and its clock,
// and says of each thing whether it is well and which command mends it. What is judged is
// gathered first, so that the judgement is pure.
package checkup
