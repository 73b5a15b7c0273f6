package monitoring

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/vstack/vstack/deploy/monitoring/dashboards"
)

// Names of the files in a directory that Write makes.
const (
	prometheusName = "prometheus.yml"
	rulesName      = "vstack.rules.yml"
	caName         = "ca.crt"
	pagesDir       = "grafana/dashboards"
)

// Write makes a directory for Prometheus and Grafana, and answers the files in it. Paths inside
// the files count from the file, so the directory may be moved; Grafana's provisioning, which
// knows no such paths, names it as it is now. CA and Rules of s are set.
func Write(dir string, s Scrapes, ca []byte) ([]string, error) {
	s.CA, s.Rules = caName, rulesName
	files := map[string][]byte{caName: ca}
	var names []string
	var err error
	if files[prometheusName], err = PrometheusFile(s); err != nil {
		return nil, err
	}
	if files[rulesName], err = RulesFile(Rules(DefaultTimes()), 0); err != nil {
		return nil, err
	}
	if err := grafana(files, dir); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("write what Prometheus and Grafana need: %w", err)
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return nil, fmt.Errorf("write what Prometheus and Grafana need: %w", err)
		}
		names = append(names, name)
	}
	return names, nil
}

// grafana adds the dashboards, and the files by which Grafana finds them and Prometheus.
func grafana(files map[string][]byte, dir string) error {
	for _, d := range dashboards.All() {
		body, err := d.JSON()
		if err != nil {
			return err
		}
		files[filepath.Join(pagesDir, d.UID+".json")] = body
	}
	var err error
	files["grafana/provisioning/dashboards/vstack.yml"], err = DashboardProvider(filepath.Join(dir, pagesDir))
	if err != nil {
		return err
	}
	files["grafana/provisioning/datasources/vstack.yml"], err = DataSource("http://127.0.0.1:9090")
	return err
}

// DashboardProvider tells Grafana of a directory of dashboards.
func DashboardProvider(dir string) ([]byte, error) {
	return encode("Dashboards of V-Stack, for Grafana's provisioning.", map[string]any{"apiVersion": 1, "providers": []any{map[string]any{
		"name": "vstack", "type": "file", "folder": "V-Stack", "allowUiUpdates": false, "options": map[string]any{"path": dir},
	}}})
}

// DataSource tells Grafana of the Prometheus at a URL.
func DataSource(url string) ([]byte, error) {
	return encode("The Prometheus that watches V-Stack, for Grafana's provisioning.", map[string]any{"apiVersion": 1, "datasources": []any{map[string]any{
		"name": "Prometheus", "uid": "vstack-prometheus", "type": "prometheus", "access": "proxy", "url": url, "isDefault": true,
	}}})
}
