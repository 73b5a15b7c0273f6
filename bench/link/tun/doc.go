// Package tun joins network namespaces by links that delay, drop, reorder and limit IP
// packets, of TCP and UDP alike.
//
//	namespace of host 1               this process                namespace of host 2
//	  kernel ── device ──▶ up way of 1 ──▶ down way of 2 ──▶ device ── kernel
//
// Every namespace has a TUN device, whose other end a Hub holds: it reads the packets
// that the kernel sends there, takes each over the sender's way up and the receiver's way
// down, and writes it into the receiver's device. A way whose plan does nothing costs
// nothing.
//
// The hosts' own kernels do TCP: what is lost here they send again. Packets are at most
// an Ethernet's 1,500 bytes. It needs root, and /dev/net/tun.
package tun
