// Package monitoring is what Prometheus and Grafana are given to watch a cluster: rules by
// which alerts fire, the configuration of the scrapes, and dashboards.
//
//	Cluster ──► Scrapes ──► prometheus.yml        whom to ask, by role
//	Times   ──► Rules   ──► vstack.rules.yml      what is not well, for how long, what to do
//	            Dashboards ──► grafana/*.json     figures for people
//
// Words: a rule's hold is for how long its condition must be true before it fires. Labels of a
// scrape are cluster, node (the host's name: some metrics have a label host that means another
// host) and job, which is vstack- and the role.
//
// Invariants, each held by a test: every metric that a rule or a panel names is one that
// docs/metrics.md has, thus one that a role registers; every rule has its section in
// docs/runbook.md, and a case in which it fires and one in which it does not; the files in
// deploy/prometheus and deploy/grafana are what this package writes.
package monitoring
