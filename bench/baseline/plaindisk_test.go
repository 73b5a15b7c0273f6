package baseline

import (
	"context"
	"os"
	"testing"
)

func TestPlainDiskWritesThreeDurableCopiesAndCleansUp(t *testing.T) {
	dir := t.TempDir()
	d, err := NewPlainDisk(dir, make([]byte, 4096))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.One(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Many(context.Background(), 3); err != nil {
		t.Fatal(err)
	}
	for _, f := range d.files {
		if info, err := f.Stat(); err != nil || info.Size() != 4*4096 {
			t.Errorf("%s: size %d, %v; want %d", f.Name(), info.Size(), err, 4*4096)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
