// Package loopdisk makes a directory a disk of its own, a file system in a file, that can
// be made to hang and to be full.
//
// A hung disk is a frozen file system: reads of what is in memory go on, a write or a
// sync waits in the kernel until Thaw, and no signal reaches the thread that waits, not
// even SIGKILL, as with a disk that does not answer. It needs root, loop devices, and
// the programs mkfs.ext4, mount and umount.
//
// A full disk has a file that takes all that is left.
//
// A Disk that its maker could not close stays mounted: Mounted finds it by its place.
package loopdisk
