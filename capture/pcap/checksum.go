package pcap

// sum adds data to a sum, start, of 16-bit words (RFC 1071). Carries are kept: 32 bits hold those of 64 KiB, and folding them in
// is left to checksum.
func sum(start uint32, data []byte) uint32 {
	for ; len(data) >= 2; data = data[2:] {
		start += uint32(data[0])<<8 | uint32(data[1])
	}
	if len(data) == 1 {
		start += uint32(data[0]) << 8 // as though a zero followed
	}
	return start
}

// checksum is the ones' complement of a sum, its carries folded in.
func checksum(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
