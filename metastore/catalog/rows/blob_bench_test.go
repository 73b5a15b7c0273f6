package rows

import "testing"

// BenchmarkDecodeBlob is what a reader of a manifest pays beside the read itself.
func BenchmarkDecodeBlob(b *testing.B) {
	r := publishedRow(50)
	blob, err := r.Part()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := DecodeBlob(blob, r.ManifestDigest()); err != nil {
			b.Fatal(err)
		}
	}
}
