// Package dashboards makes Grafana's dashboards of a cluster: overview, stores, playback,
// consensus, redundancy. A dashboard is rows of panels, a panel is queries; what Grafana wants
// beside that is the same everywhere and written once.
//
// Each query names the variable $cluster, and only metrics that docs/metrics.md has: a test
// reads them.
package dashboards
