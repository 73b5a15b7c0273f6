package bench

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/vstack/vstack/internal/vstack"
)

// families are one process's metrics at one moment.
type families map[string]*dto.MetricFamily

// scrape reads /metrics of a listener.
func (c *cluster) scrape(ctx context.Context, addr string) (families, error) {
	g := tcpGetter(c.id.ClientTLS())
	defer g.close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := g.rt.RoundTrip(req)
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

// buckets are a histogram's cumulative counts by upper bound.
type buckets map[float64]float64

// histogram adds up a histogram over its labels.
func (f families) histogram(name string) buckets {
	out := buckets{}
	for _, m := range f[name].GetMetric() {
		for _, b := range m.GetHistogram().GetBucket() {
			out[b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
	}
	return out
}

// sub is what was observed between two scrapes.
func (b buckets) sub(before buckets) buckets {
	out := buckets{}
	for le, n := range b {
		out[le] = n - before[le]
	}
	return out
}

// quantile interpolates within the bucket that holds q; NaN without observations.
func (b buckets) quantile(q float64) float64 {
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

// counter adds up a counter or gauge over its labels.
func (f families) counter(name string) float64 {
	sum := 0.0
	for _, m := range f[name].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	}
	return sum
}
