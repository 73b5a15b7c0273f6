package dashboards

import (
	"encoding/json"
	"fmt"
)

// Units as Grafana names them.
const (
	Count   = "short"
	Bytes   = "bytes"
	Rate    = "Bps"
	Seconds = "s"
	Percent = "percentunit"
	PerSec  = "ops"
	Time    = "dateTimeFromNow" // of milliseconds
)

// Dashboard is a page.
type Dashboard struct {
	UID, Title, Text string
	Rows             []Row
}

// Row is a line of panels below a title.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is one drawing.
type Panel struct {
	Title, Text string
	Unit        string
	Stat        bool // the last value, large; else lines over time
	// Warn and Bad colour what is at or above them; with Low, what is below.
	Warn, Bad *float64
	Low       bool
	Queries   []Query
}

// Query is a line, or several by their labels.
type Query struct{ Expr, Legend string }

// height and width are of Grafana's grid, 24 columns wide.
const (
	gridWidth  = 24
	statHeight = 4
	lineHeight = 8
)

type object = map[string]any

// JSON is the dashboard as Grafana takes it, from a file or by its API.
func (d Dashboard) JSON() ([]byte, error) {
	var panels []object
	y, id := 0, 0
	for _, r := range d.Rows {
		id++
		panels = append(panels, object{"id": id, "type": "row", "title": r.Title, "collapsed": false, "panels": []object{}, "gridPos": grid(0, y, gridWidth, 1)})
		y++
		height := statHeight
		for _, p := range r.Panels {
			if !p.Stat {
				height = lineHeight
			}
		}
		width := gridWidth / len(r.Panels)
		for i, p := range r.Panels {
			id++
			panels = append(panels, p.object(id, grid(i*width, y, width, height)))
		}
		y += height
	}
	source := object{"type": "prometheus", "uid": "${datasource}"}
	out := object{
		"uid": d.UID, "title": d.Title, "description": d.Text, "tags": []string{"vstack"}, "schemaVersion": 39, "version": 1, "editable": true,
		"graphTooltip": 1, "refresh": "30s", "timezone": "browser", "time": object{"from": "now-3h", "to": "now"}, "panels": panels,
		"annotations": object{"list": []object{{
			"name": "Alerts", "enable": true, "iconColor": "red", "datasource": source,
			"expr": `ALERTS{alertname=~"VStack.*",alertstate="firing",cluster="$cluster"}`, "titleFormat": "{{alertname}}", "textFormat": "{{node}} {{store}}", "step": "30s",
		}}},
		"links": []object{{"type": "dashboards", "title": "V-Stack", "tags": []string{"vstack"}, "asDropdown": false, "includeVars": true, "keepTime": true, "icon": "external link", "targetBlank": false, "tooltip": ""}},
		"templating": object{"list": []object{
			{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0},
			{"name": "cluster", "label": "Cluster", "type": "query", "datasource": source, "refresh": 2, "sort": 1, "hide": 0,
				"query": object{"query": "label_values(vstack_build_info, cluster)", "refId": "cluster"}},
		}},
	}
	body, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.UID, err)
	}
	return append(body, '\n'), nil
}

func grid(x, y, w, h int) object { return object{"x": x, "y": y, "w": w, "h": h} }

func (p Panel) object(id int, at object) object {
	source := object{"type": "prometheus", "uid": "${datasource}"}
	var targets []object
	for i, q := range p.Queries {
		targets = append(targets, object{"refId": string(rune('A' + i)), "datasource": source, "expr": q.Expr, "legendFormat": q.Legend, "range": !p.Stat, "instant": p.Stat})
	}
	colour := object{"mode": "palette-classic"}
	if p.Stat {
		colour = object{"mode": "thresholds"}
	}
	defaults := object{"unit": p.Unit, "color": colour, "thresholds": object{"mode": "absolute", "steps": p.steps()}}
	out := object{
		"id": id, "title": p.Title, "description": p.Text, "datasource": source, "gridPos": at, "targets": targets,
		"fieldConfig": object{"defaults": defaults, "overrides": []object{}},
	}
	if p.Stat {
		out["type"] = "stat"
		out["options"] = object{"colorMode": "background", "graphMode": "none", "textMode": "auto", "justifyMode": "auto", "wideLayout": true,
			"orientation": "auto", "showPercentChange": false, "percentChangeColorMode": "standard",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}}
		return out
	}
	out["type"] = "timeseries"
	defaults["custom"] = object{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false}
	if p.Unit != Time {
		defaults["min"] = 0
	}
	out["options"] = object{"legend": object{"calcs": []string{}, "displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	return out
}

// steps are the colours of values, from below.
func (p Panel) steps() []object {
	calm, worst := "green", "red"
	if p.Low {
		calm, worst = worst, calm
	}
	out := []object{{"color": calm, "value": nil}}
	first, last := p.Warn, p.Bad
	if p.Low {
		first, last = p.Bad, p.Warn
	}
	if first != nil && last != nil {
		out = append(out, object{"color": "orange", "value": *first})
	} else if last == nil {
		last = first
	}
	if last != nil {
		return append(out, object{"color": worst, "value": *last})
	}
	return []object{{"color": "blue", "value": nil}}
}
