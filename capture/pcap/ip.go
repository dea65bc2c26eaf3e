package pcap

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
)

// The numbers that gopacket's layers have. They are not imported: package layers fills megabytes of tables for decoding
// when the program starts.
const (
	layerTypeIPv4 gopacket.LayerType = 20
	layerTypeIPv6 gopacket.LayerType = 21
	layerTypeTCP  gopacket.LayerType = 44
)

const (
	protocolTCP    = 6 // RFC 9293, 3.1; of IPv4's protocol and IPv6's next header alike
	hopLimit       = 64
	ipv4HeaderSize = 20
	ipv6HeaderSize = 40
	// maxIPLength is the most that the length fields of both versions can say; eaves makes no jumbograms.
	maxIPLength = 65535
)

// ipHeader wraps a TCP segment. Both addresses are of one family.
type ipHeader struct{ from, to netip.Addr }

func (ip ipHeader) LayerType() gopacket.LayerType {
	if ip.from.Is4() {
		return layerTypeIPv4
	}
	return layerTypeIPv6
}

// SerializeTo puts the header before what is in b.
func (ip ipHeader) SerializeTo(b gopacket.SerializeBuffer, _ gopacket.SerializeOptions) error {
	if ip.from.Is4() != ip.to.Is4() {
		return fmt.Errorf("packet from %s to %s: addresses of two families", ip.from, ip.to)
	}
	if ip.from.Is4() {
		return ip.version4(b)
	}
	return ip.version6(b)
}

// version4 writes a header without options of a packet that is not fragmented (RFC 791, 3.1).
func (ip ipHeader) version4(b gopacket.SerializeBuffer) error {
	const dontFragment = 1 << 14
	length := ipv4HeaderSize + len(b.Bytes())
	if length > maxIPLength {
		return fmt.Errorf("packet from %s to %s: %d bytes do not fit into IPv4", ip.from, ip.to, length)
	}
	h, err := b.PrependBytes(ipv4HeaderSize)
	if err != nil {
		return err
	}
	be, from, to := binary.BigEndian, ip.from.As4(), ip.to.As4()
	h[0] = 4<<4 | ipv4HeaderSize/4
	h[1] = 0 // type of service
	be.PutUint16(h[2:], uint16(length))
	be.PutUint16(h[4:], 0) // identification, which says nothing where fragmentation is forbidden (RFC 6864, 4.1)
	be.PutUint16(h[6:], dontFragment)
	h[8], h[9] = hopLimit, protocolTCP
	be.PutUint16(h[10:], 0) // the checksum is made of the header without it
	copy(h[12:], from[:])
	copy(h[16:], to[:])
	be.PutUint16(h[10:], checksum(sum(0, h)))
	return nil
}

// version6 writes a header without extensions (RFC 8200, 3).
func (ip ipHeader) version6(b gopacket.SerializeBuffer) error {
	length := len(b.Bytes())
	if length > maxIPLength {
		return fmt.Errorf("packet from %s to %s: %d bytes do not fit into IPv6", ip.from, ip.to, length)
	}
	h, err := b.PrependBytes(ipv6HeaderSize)
	if err != nil {
		return err
	}
	be, from, to := binary.BigEndian, ip.from.As16(), ip.to.As16()
	be.PutUint32(h, 6<<28) // neither traffic class nor flow label
	be.PutUint16(h[4:], uint16(length))
	h[6], h[7] = protocolTCP, hopLimit
	copy(h[8:], from[:])
	copy(h[24:], to[:])
	return nil
}

// pseudoHeader is the sum of what TCP's checksum takes from the header: addresses, protocol and length (RFC 9293, 3.1;
// RFC 8200, 8.1).
func (ip ipHeader) pseudoHeader(length int) uint32 {
	return sum(sum(0, ip.from.AsSlice()), ip.to.AsSlice()) + protocolTCP + uint32(length)
}
