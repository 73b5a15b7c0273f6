// Package monitor has the command that writes what Prometheus and Grafana need to watch a
// cluster.
package monitor
