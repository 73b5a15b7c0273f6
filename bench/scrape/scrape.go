package scrape

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net/http"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/vstack/vstack/internal/vstack"
)

// Families are one process's metrics.
type Families map[string]*dto.MetricFamily

// From reads /metrics of a listener.
func From(ctx context.Context, conf *tls.Config, addr string) (Families, error) {
	t := &http.Transport{TLSClientConfig: conf.Clone()}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("scrape %s: %w", addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scrape %s: %w: status %s", addr, vstack.ErrUnavailable, resp.Status)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	f, err := p.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("scrape %s: %w", addr, err)
	}
	return f, nil
}

// Buckets are a histogram's cumulative counts by upper bound.
type Buckets map[float64]float64

// Histogram adds up a histogram over its labels.
func (f Families) Histogram(name string) Buckets {
	out := Buckets{}
	for _, m := range f[name].GetMetric() {
		for _, b := range m.GetHistogram().GetBucket() {
			out[b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
	}
	return out
}

// Sub is what was observed between two scrapes.
func (b Buckets) Sub(before Buckets) Buckets {
	out := Buckets{}
	for le, n := range b {
		out[le] = n - before[le]
	}
	return out
}

// Quantile interpolates within the bucket that holds q; NaN without observations.
func (b Buckets) Quantile(q float64) float64 {
	var bounds []float64
	total := 0.0
	for le, n := range b {
		bounds = append(bounds, le)
		total = max(total, n)
	}
	slices.Sort(bounds)
	if total == 0 {
		return math.NaN()
	}
	lower, below := 0.0, 0.0
	for _, le := range bounds {
		if n := b[le]; n >= q*total {
			if math.IsInf(le, 1) {
				return lower // no upper bound to interpolate to
			}
			return lower + (le-lower)*(q*total-below)/(n-below)
		}
		lower, below = le, b[le]
	}
	return lower
}

// Counter adds up a counter or gauge over its labels.
func (f Families) Counter(name string) float64 {
	sum := 0.0
	for _, m := range f[name].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	}
	return sum
}
