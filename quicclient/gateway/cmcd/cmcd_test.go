package cmcd

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestWhatPlayersSay(t *testing.T) {
	for name, tc := range map[string]struct {
		query  string
		header map[string]string
		want   Said
		said   bool
	}{
		"hls.js in the query": {
			query: `?CMCD=bl%3D21300%2Cbr%3D3200%2Cbs%2Cmtp%3D48100%2Cot%3Dv%2Csf%3Dh%2Csid%3D%226e2fb550-c457-11e9-bb97-0800200c9a66%22%2Csu`,
			want:  Said{Object: "v", Format: "h", Session: "6e2fb550-c457-11e9-bb97-0800200c9a66", Bitrate: 3_200_000, Rate: 48_100_000, Buffer: 21300 * time.Millisecond, HasBuffer: true, Starved: true, Startup: true}, said: true},
		"dash.js in headers": {
			header: map[string]string{"CMCD-Object": "br=500,d=4000,ot=a", "CMCD-Request": "bl=0", "CMCD-Session": `cid="a,b=\"c",sf=d`},
			want:   Said{Object: "a", Format: "d", Bitrate: 500_000, HasBuffer: true}, said: true},
		"version 2's lists":     {query: `?CMCD=bl%3D(1200%3Bv%20900%3Ba)%2Cot%3Dav`, want: Said{Object: "av", Buffer: 1200 * time.Millisecond, HasBuffer: true}, said: true},
		"nothing":               {query: "?x=1"},
		"a label of a stranger": {query: `?CMCD=ot%3D%22DROP%20TABLE%22%2Csf%3D..%2F`},
		"negative and far":      {query: `?CMCD=bl%3D-1%2Cbr%3D99999999999999999999`},
		"too much":              {query: "?CMCD=ot%3Dv%2C" + strings.Repeat("a", 4000)},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/play/x/1/0.m4s"+tc.query, nil)
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			if got, said := Of(r); got != tc.want || said != tc.said {
				t.Errorf("%+v, %v\nwant %+v, %v", got, said, tc.want, tc.said)
			}
		})
	}
}
