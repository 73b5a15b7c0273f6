package wire

import (
	"strconv"
	"strings"
	"time"
)

// ServerTiming is what a datanode tells of the path and of itself in the
// Server-Timing header (before the body) and trailer (after it). Only the sender
// knows a downlink's loss and congestion window, so a client cannot measure these.
//
//	Server-Timing: rtt;dur=20.125, cwnd;desc=65536, sent;desc=1500, lost;desc=3, busy;desc=4, disk;dur=0.410
//
// Over TCP there is only busy and disk; decode is there where fragments were joined. In the header Sent and Lost count packets of
// the connection since its previous header; in the trailer, those during this response.
type ServerTiming struct {
	RTT  time.Duration // smoothed, as the server measures it; 0 without QUIC
	Cwnd uint64        // congestion window of the connection, bytes
	Sent uint64        // packets
	Lost uint64        // packets declared lost
	Busy int           // requests in flight at this store, this one included
	Disk time.Duration // how long this request waited for its turn at the disk
	// Decode is how long it took to gather and join fragments of the chunk; 0 for none.
	Decode time.Duration
}

// String is the header's value.
func (t ServerTiming) String() string {
	b := make([]byte, 0, 136)
	if t.RTT > 0 {
		b = appendMillis(append(b, "rtt;dur="...), t.RTT)
		b = strconv.AppendUint(append(b, ", cwnd;desc="...), t.Cwnd, 10)
		b = strconv.AppendUint(append(b, ", sent;desc="...), t.Sent, 10)
		b = strconv.AppendUint(append(b, ", lost;desc="...), t.Lost, 10)
		b = append(b, ", "...)
	}
	b = strconv.AppendInt(append(b, "busy;desc="...), int64(t.Busy), 10)
	b = appendMillis(append(b, ", disk;dur="...), t.Disk)
	if t.Decode > 0 {
		b = appendMillis(append(b, ", decode;dur="...), t.Decode)
	}
	return string(b)
}

// ParseServerTiming reads String's form; unknown metrics are skipped, and it reports
// whether at least one known metric was there.
func ParseServerTiming(s string) (ServerTiming, bool) {
	var t ServerTiming
	found := false
	for metric := range strings.SplitSeq(s, ",") {
		name, param, _ := strings.Cut(strings.TrimSpace(metric), ";")
		key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		value = strings.Trim(value, `"`)
		if t.set(name, key, value) {
			found = true
		}
	}
	return t, found
}

func (t *ServerTiming) set(name, key, value string) bool {
	switch {
	case name == "rtt" && key == "dur":
		return parseMillis(value, &t.RTT)
	case name == "disk" && key == "dur":
		return parseMillis(value, &t.Disk)
	case name == "decode" && key == "dur":
		return parseMillis(value, &t.Decode)
	case key != "desc":
		return false
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return false
	}
	switch name {
	case "cwnd":
		t.Cwnd = n
	case "sent":
		t.Sent = n
	case "lost":
		t.Lost = n
	case "busy":
		t.Busy = int(min(n, 1<<30))
	default:
		return false
	}
	return true
}

func appendMillis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// parseMillis refuses what no clock measures: negative, absurd or not a number.
func parseMillis(s string, d *time.Duration) bool {
	ms, err := strconv.ParseFloat(s, 64)
	if err != nil || !(ms >= 0 && ms < 1e9) {
		return false
	}
	*d = time.Duration(ms * float64(time.Millisecond))
	return true
}
