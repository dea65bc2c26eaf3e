package pcap

import (
	"bufio"
	"context"
	"hash/fnv"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/google/gopacket"

	"eaves/capture"
)

// direction of a segment.
type direction int

const (
	toServer direction = iota
	toClient
)

const (
	// mss fits into Ethernet's 1500 bytes with the larger of both IP headers.
	mss = 1440
	// window is what both sides offer; they acknowledge often enough never to fill it.
	window       = 65535
	ackEach      = 16
	firstPort    = 1024
	clientPorts  = 65535 - firstPort
	packetTakes  = time.Microsecond
	handshakeGap = 10 * time.Microsecond
)

// connection makes the packets of one TCP connection.
type connection struct {
	p       *Writer
	comment string
	now     time.Time
	from    [2]netip.Addr
	port    [2]uint16
	seq     [2]uint32
	// unacked counts segments that the other side has not answered.
	unacked [2]int
	out     [2]*bufio.Writer
	buf     gopacket.SerializeBuffer
	err     error
}

func newConnection(p *Writer, x *capture.Exchange) *connection {
	client, server, serverPort := endpoints(x)
	c := &connection{p: p, comment: comment(x), now: x.Started, buf: gopacket.NewSerializeBuffer()}
	c.from = [2]netip.Addr{client, server}
	c.port = [2]uint16{uint16(firstPort + p.connections%clientPorts), serverPort}
	// Initial numbers that differ keep connections apart when ports come round again.
	c.seq = [2]uint32{p.connections * 64007, p.connections*64007 + 0x10000000}
	for d := range c.out {
		c.out[d] = bufio.NewWriterSize(segments{c, direction(d)}, mss)
	}
	return c
}

// endpoints are the connection's addresses, of one family.
func endpoints(x *capture.Exchange) (client, server netip.Addr, port uint16) {
	port = 80
	host := authority(x.Request.URL)
	if _, p, err := net.SplitHostPort(host); err == nil {
		switch p {
		case "8080", "3128", "8088":
			n, _ := strconv.ParseUint(p, 10, 16)
			port = uint16(n)
		}
	}
	server = address(host)
	if a := address(x.ServerIPAddress); a.IsValid() {
		server = a
	} else if x.Route != nil && !server.IsValid() && len(x.Route.Hops) > 0 {
		server = address(x.Route.Hops[len(x.Route.Hops)-1].Address)
	}
	if !server.IsValid() {
		// Some address for the name, the same each time.
		h := fnv.New32a()
		h.Write([]byte(host))
		server = netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + h.Sum32()%200)})
	}
	if client = address(x.Client.Address); !client.IsValid() {
		client = netip.AddrFrom4([4]byte{192, 0, 2, 254})
	}
	if client.Is4() != server.Is4() {
		client, server = netip.AddrFrom16(client.As16()), netip.AddrFrom16(server.As16())
	}
	return client, server, port
}

// address reads an address that may have a port, brackets and a zone.
func address(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.WithZone("").Unmap()
}

// at moves the clock on to t, never back.
func (c *connection) at(t time.Time) {
	if t.After(c.now) {
		c.now = t
	}
}

// segments writes to one direction, cut into segments.
type segments struct {
	c *connection
	d direction
}

func (s segments) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && s.c.err == nil {
		k := min(mss, len(p))
		flags := flagACK
		if k == len(p) {
			flags |= flagPSH
		}
		s.c.send(s.d, p[:k], flags)
		if s.c.unacked[s.d]++; s.c.unacked[s.d] >= ackEach {
			s.c.send(1-s.d, nil, flagACK)
		}
		p = p[k:]
	}
	return n, s.c.err
}

// maxHead is the longest head that fits into one packet.
const maxHead = 60 << 10

// cutHead sends the head of a message whose body is not all there, in one packet of which the file lacks the last byte:
// Wireshark waits for the rest of a message, and shows nothing of it where the rest does not come, unless the packet that
// it begins in is known not to be whole. The byte that is missing is the body's first, which the next packet brings.
func (c *connection) cutHead(d direction, head []byte) error {
	if len(head) > maxHead {
		_, err := c.out[d].Write(head)
		return err
	}
	if err := c.flush(d); err != nil {
		return err
	}
	c.sendCut(d, append(head, 0), 1, flagACK|flagPSH)
	c.unacked[d]++
	return c.err
}

// flush sends what is buffered, and has the other side acknowledge it.
func (c *connection) flush(d direction) error {
	if err := c.out[d].Flush(); err != nil {
		return err
	}
	if c.unacked[d] > 0 {
		c.send(1-d, nil, flagACK)
	}
	return c.err
}

// send writes one packet.
func (c *connection) send(d direction, payload []byte, flags tcpFlags) {
	c.sendCut(d, payload, 0, flags)
}

// sendCut is send, except that the last bytes of the payload are sent but not in the file.
func (c *connection) sendCut(d direction, payload []byte, missing int, flags tcpFlags) {
	if c.err != nil {
		return
	}
	ip := ipHeader{from: c.from[d], to: c.from[1-d]}
	segment := &tcp{ip: ip, from: c.port[d], to: c.port[1-d], seq: c.seq[d], flags: flags, window: window}
	if flags&flagACK != 0 {
		segment.ack = c.seq[1-d]
		c.unacked[1-d] = 0
	}
	if flags&flagSYN != 0 {
		segment.options = maximumSegmentSize(mss)
	}
	c.err = gopacket.SerializeLayers(c.buf, gopacket.SerializeOptions{}, ip, segment, gopacket.Payload(payload))
	if c.err == nil {
		b := c.buf.Bytes()
		c.err = c.p.packet(c.now, b[:len(b)-missing], missing, c.comment)
	}
	c.now = c.now.Add(packetTakes)
	c.seq[d] += uint32(len(payload) - missing)
	if flags&(flagSYN|flagFIN) != 0 {
		c.seq[d]++
	}
}

// handshake opens the connection (RFC 9293, 3.5).
func (c *connection) handshake() {
	c.send(toServer, nil, flagSYN)
	c.now = c.now.Add(handshakeGap)
	c.send(toClient, nil, flagSYN|flagACK)
	c.now = c.now.Add(handshakeGap)
	c.send(toServer, nil, flagACK)
}

// finish ends the connection the way the exchange ended.
func (c *connection) finish(state capture.State) {
	switch state {
	case capture.StateOpen:
	case capture.StateFailed:
		c.send(toClient, nil, flagRST|flagACK)
	default:
		c.send(toClient, nil, flagFIN|flagACK)
		c.send(toServer, nil, flagFIN|flagACK)
		c.send(toClient, nil, flagACK)
	}
}

// run makes all packets of an exchange.
func (c *connection) run(ctx context.Context, source Source, x *capture.Exchange) error {
	clock := phases(x)
	c.handshake()
	e := &exchange{c: c, ctx: ctx, source: source, x: x, clock: clock}
	var err error
	if multiplexed(x) {
		err = e.http2()
	} else {
		err = e.http1()
	}
	if err != nil {
		return err
	}
	c.at(clock.end)
	c.finish(x.State)
	return c.err
}

// times of an exchange's phases.
type times struct{ request, response, end time.Time }

func phases(x *capture.Exchange) times {
	t := &x.Timings
	after := func(from time.Time, phases ...float64) time.Time {
		for _, ms := range phases {
			if ms > 0 && ms < 1e12 {
				from = from.Add(time.Duration(ms * float64(time.Millisecond)))
			}
		}
		return from
	}
	var c times
	c.request = after(x.Started, t.Blocked, t.DNS, t.Connect) // ssl is part of connect
	c.response = after(c.request, t.Send, t.Wait)
	c.end = after(c.response, t.Receive)
	if end := after(x.Started, x.Time); end.After(c.end) {
		c.end = end
	}
	return c
}
