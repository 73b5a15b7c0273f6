package link

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSegments and maxTogether bound what one call sends.
	maxSegments = 64
	maxTogether = 65_000
	// socketBuffer is what is asked for; the kernel may give less.
	socketBuffer = 4 << 20
	// maxAge bounds how long a packet can have waited to be read, should a clock be set.
	maxAge = time.Second
)

// offload has the kernel hand over packets that came together as one, with the time of
// their arrival and the number of those it had to drop.
func offload(c *net.UDPConn) error {
	// What the kernel gives is enough, or shows as an overrun.
	_ = c.SetReadBuffer(socketBuffer)
	_ = c.SetWriteBuffer(socketBuffer)
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name int }{
			{unix.IPPROTO_UDP, unix.UDP_GRO}, {unix.SOL_SOCKET, unix.SO_TIMESTAMPNS}, {unix.SOL_SOCKET, unix.SO_RXQ_OVFL},
		} {
			if serr == nil {
				serr = unix.SetsockoptInt(int(fd), o.level, o.name, 1)
			}
		}
	})
	if err == nil {
		err = serr
	}
	if err != nil {
		return fmt.Errorf("set receive offload: %w", err)
	}
	return nil
}

// reader reads a socket that offload has set up.
type reader struct {
	conn     *net.UDPConn
	buf      []byte
	oob      []byte
	overruns uint32 // as the socket counts them
}

func newReader(c *net.UDPConn) *reader {
	return &reader{conn: c, buf: make([]byte, 1<<16), oob: make([]byte, 256)}
}

// burst is packets of one sender that came together. All but the last have one size.
type burst struct {
	from    netip.AddrPort
	data    []byte // valid until the next read
	segment int
	arrived time.Time
	overran int
}

func (r *reader) read() (burst, error) {
	n, oobn, _, from, err := r.conn.ReadMsgUDPAddrPort(r.buf, r.oob)
	if err != nil {
		return burst{}, err
	}
	b := burst{from: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), data: r.buf[:n], segment: n, arrived: time.Now()}
	for rest := r.oob[:oobn]; len(rest) > 0; {
		var h unix.Cmsghdr
		var data []byte
		if h, data, rest, err = unix.ParseOneSocketControlMessage(rest); err != nil {
			return burst{}, fmt.Errorf("read control message: %w", err)
		}
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			b.segment = int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			ts := (*unix.Timespec)(unsafe.Pointer(&data[0]))
			if age := b.arrived.Sub(time.Unix(ts.Unix())); age > 0 && age < maxAge {
				b.arrived = b.arrived.Add(-age)
			}
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			count := binary.NativeEndian.Uint32(data)
			b.overran, r.overruns = int(count-r.overruns), count
		}
	}
	return b, nil
}

// each calls f with every packet of the burst.
func (b burst) each(f func(packet []byte)) {
	data := b.data
	for {
		n := min(max(1, b.segment), len(data))
		f(data[:n])
		if data = data[n:]; len(data) == 0 {
			return
		}
	}
}

// segmentMessage has the kernel cut what is sent into packets of a size.
func segmentMessage(oob []byte, size int) []byte {
	oob = append(oob[:0], make([]byte, unix.CmsgSpace(2))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(size))
	return oob
}

// WriteTogether sends packets of a size, which lie one behind the other, by one call.
func WriteTogether(c *net.UDPConn, packets []byte, size int) error {
	if len(packets) <= size {
		_, err := c.Write(packets)
		return err
	}
	_, _, err := c.WriteMsgUDPAddrPort(packets, segmentMessage(nil, size), netip.AddrPort{})
	return err
}
