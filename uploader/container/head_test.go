package container

import (
	"github.com/vstack/vstack/uploader/source"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWhatCanBeReadForwardIsToldFromTheStart(t *testing.T) {
	ftyp, mdat, moof := box("ftyp", make([]byte, 8)), box("mdat", make([]byte, 400)), box("moof", make([]byte, 40))
	moov := box("moov", box("mvhd", u32(0, 0, 0, 1000), make([]byte, 80)))
	pieces := box("moov", box("mvhd", u32(0, 0, 0, 1000), make([]byte, 80)), box("mvex"))
	packets := make([]byte, 188*20)
	for i := 0; i < len(packets); i += 188 {
		packets[i] = 0x47
	}
	for name, tc := range map[string]struct {
		file                       []byte
		forward, streamed, indexed bool
	}{
		"index in front":          {slices.Concat(ftyp, moov, mdat), true, false, true},
		"padding behind it":       {slices.Concat(ftyp, moov, box("free"), mdat), true, false, true},
		"index at the end":        {slices.Concat(ftyp, mdat, moov), false, false, false},
		"two indices":             {slices.Concat(ftyp, moov, mdat, moov), true, false, false},
		"more is said at the end": {slices.Concat(ftyp, moov, mdat, box("udta", make([]byte, 8))), true, false, false},
		"in fragments":            {slices.Concat(ftyp, pieces, moof, mdat), true, true, false},
		"a transport stream":      {packets, true, true, false},
		"something else":          {[]byte("RIFF\x00\x01\x00\x00AVI LIST\xff\xfe\x00\x01"), false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "source")
			if err := os.WriteFile(path, tc.file, 0o600); err != nil {
				t.Fatal(err)
			}
			facts, forward, err := Head(source.Vault{}, path)
			if err != nil || forward != tc.forward || facts.Streamed != tc.streamed {
				t.Errorf("forward %t, streamed %t, %v", forward, facts.Streamed, err)
			}
			if indexed, err := Indexed(source.Vault{}, path); err != nil || indexed != tc.indexed {
				t.Errorf("indexed %t, %v", indexed, err)
			}
			// Of the start alone: the index, and the header of what follows it.
			if tc.streamed || !tc.forward {
				return
			}
			if err := os.WriteFile(path, tc.file[:len(ftyp)+len(moov)+20], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, forward, err := Head(source.Vault{}, path); err != nil || !forward {
				t.Errorf("of the start: forward %t, %v", forward, err)
			}
			if err := os.WriteFile(path, tc.file[:len(ftyp)+len(moov)-1], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, forward, err := Head(source.Vault{}, path); err != nil || forward {
				t.Errorf("of half an index: forward %t, %v", forward, err)
			}
		})
	}
}
