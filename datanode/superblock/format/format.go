package format

import (
	"errors"
	"hash/crc32"
)

// The sizes of docs/format/superblock.md.
const (
	RecordAlign   = 64   // records start on it, inside a group
	GroupAlign    = 4096 // groups start on it: no write touches a durable page again
	FileHeaderLen = 4096 // of which 64 bytes carry meaning
	TrailerLen    = 64
	IdentityLen   = 64

	MinFile = 64 << 10
	MaxFile = 64 << 30
	// MaxFixedLen is the longest fixed part of a record header, MaxHeaderLen the header of
	// the largest chunk with all that version 2 may say of its blocks.
	MaxFixedLen  = 192
	MaxHeaderLen = 2816
	// MaxEntries bounds the records of one file, so the footer that is held in memory
	// until the file is sealed.
	MaxEntries = 1 << 17
)

const (
	// RecordMagic opens every record header.
	RecordMagic   = 0x43525356         // "VSRC"
	entryMagic    = 0x4e455356         // "VSEN", in its place in footers of V2
	fileMagic     = 0x4b4c42534b545356 // "VSTKSBLK"
	trailerMagic  = 0x544f4f464b545356 // "VSTKFOOT"
	identityMagic = 0x524f54534b545356 // "VSTKSTOR"
)

// ErrMalformed is the reason of every decoder's refusal; callers turn it into a finding.
var ErrMalformed = errors.New("not valid")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC is CRC32C.
func CRC(b []byte) uint32              { return crc32.Checksum(b, castagnoli) }
func crcAdd(c uint32, b []byte) uint32 { return crc32.Update(c, castagnoli, b) }

// Align rounds n up to a multiple of to.
func Align(n, to int64) int64 { return (n + to - 1) / to * to }
