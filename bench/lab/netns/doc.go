// Package netns puts hosts into network namespaces of their own, joined by a bridge or by
// links, and cuts them off.
//
//	this process's namespace        PREFIX-sw          PREFIX-h1, PREFIX-h2 …
//	  vsPID  .254 ─────────────── bridge ─────────── eth0 .1, .2 …
//	                                                   └ nft: what is cut drops here
//
// In place of the bridge, OpenLinks gives each host a link of its own (package tun), which
// delays, loses, reorders and limits its packets as plans say.
//
// The packets of a cut are dropped in the namespace of the host that is cut off, those it
// sends and those it receives independently: nobody hears of it but by silence, as with
// a broken switch.
//
// Everything of a Net begins with PREFIX, which names the process that made it. Sweep
// removes what processes that are no more have left; what others made has other names.
// It needs root, and the programs ip and nft.
package netns
