package feed

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

var update = flag.Bool("update", false, "write the golden page anew")

func sample() Page {
	return Page{
		Index: 40, At: 44, More: true, Cluster: vstack.ClusterID{7},
		Uploads: []vstack.Upload{
			{ID: vstack.UploadID{1}, Video: vstack.VideoID{2}, Owner: vstack.ProposerID{3}, State: vstack.UploadOpen, Incarnation: 5, Index: 39},
			{ID: vstack.UploadID{4}, Video: vstack.VideoID{5}, Owner: vstack.ProposerID{6}, State: vstack.UploadPublished, Incarnation: 4, Index: 30},
		},
		Videos: []Video{
			{ID: vstack.VideoID{5}, State: vstack.VideoPublished, Class: vstack.ClassWarming, ClassIndex: 38, Changed: 40, References: []Reference{
				{Track: 1, Seq: 0, Size: 700, Chunk: vstack.ChunkID{8}}, {Track: 65535, Seq: 1 << 31, Size: vstack.MaxChunkSize, Chunk: vstack.ChunkID{9}}}},
			{ID: vstack.VideoID{6}, State: vstack.VideoDeleted, Changed: 40},
		},
	}
}

// cold is a page in which videos lie in fragments.
func cold() Page {
	p := sample()
	p.Videos[0].Scheme = vstack.Scheme{K: 3, M: 2}
	p.Videos[0].Kept = vstack.Kept{Small: 65536, Heads: []vstack.HotStart{{Track: 1, Last: 4}, {Track: 300, Last: 1 << 20}}}
	p.Videos = append(p.Videos, Video{ID: vstack.VideoID{7}, State: vstack.VideoPublished, Class: vstack.ClassHot, ClassIndex: 9, Changed: 40})
	return p
}

// guarded is a page that says who may watch.
func guarded() Page {
	p := cold()
	p.Videos[0].Access = vstack.Access{Visibility: vstack.VisibilityPrivate, TokensFrom: time.Unix(1_800_000_000, 0).UTC(), Index: 39}
	p.Videos[2].Access = vstack.Access{Visibility: vstack.VisibilityPublic, Index: 30}
	p.Keys = &vstack.TokenKeys{Index: 33, Items: []vstack.TokenKey{{ID: "k1", Public: bytes.Repeat([]byte{7}, 32), Created: time.Unix(1_790_000_000, 0).UTC(), Note: "outside"}}}
	return p
}

func encode(t testing.TB, p Page) []byte {
	t.Helper()
	b, err := p.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of a page are a contract between hosts of different releases.
func TestThePageIsTheGoldenOne(t *testing.T) {
	for path, page := range map[string]Page{"testdata/page.v1.hex": sample(), "testdata/page.v2.hex": cold(), "testdata/page.v3.hex": guarded()} {
		t.Run(path, func(t *testing.T) { golden(t, path, page) })
	}
}

func golden(t *testing.T, path string, page Page) {
	got := encode(t, page)
	if *update {
		if err := os.WriteFile(path, []byte(hex.EncodeToString(got)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("page is %x", got)
	}
	p, err := Decode(want)
	if err != nil || !reflect.DeepEqual(p, page) {
		t.Errorf("reads as %+v, %v", p, err)
	}
}

func TestAPlacementMapComesAlone(t *testing.T) {
	p := Page{Index: 3, At: 9, More: true, Placement: &vstack.PlacementMap{Version: 9, Groups: []vstack.PGTargets{{Epoch: 1, Targets: []vstack.StoreID{{1}}}},
		Stores: []vstack.Store{{ID: vstack.StoreID{1}, Host: "h1", Addr: "127.0.0.1:1", State: vstack.StoreUp}}}}
	got, err := Decode(encode(t, p))
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("reads as %+v, %v", got, err)
	}
}

// Every page that is cut short, longer, or of which a bit is turned is refused.
func TestADamagedPageIsRefused(t *testing.T) {
	for _, page := range []Page{sample(), cold(), guarded()} {
		refuses(t, encode(t, page))
	}
}

func refuses(t *testing.T, whole []byte) {
	refused := func(what string, b []byte) {
		t.Helper()
		if _, err := Decode(b); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: answered %v", what, err)
		}
	}
	for n := range whole {
		refused("cut", whole[:n])
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[n] ^= 1 << bit
			refused("turned", b)
		}
	}
	refused("longer", append(bytes.Clone(whole), 0))
}

func TestWhatHasNoCodeIsNotWritten(t *testing.T) {
	for name, spoil := range map[string]func(*Page){
		"an upload's state": func(p *Page) { p.Uploads[0].State = "paused" },
		"a video's state":   func(p *Page) { p.Videos[0].State = vstack.VideoUploading },
		"a class":           func(p *Page) { p.Videos[0].Class = "tepid" },
		"a visibility":      func(p *Page) { p.Videos[0].Access = vstack.Access{Visibility: "secret", Index: 1} },
		"a dead video's":    func(p *Page) { p.Videos[0].State = vstack.VideoDeleted },
	} {
		t.Run(name, func(t *testing.T) {
			p := sample()
			spoil(&p)
			if b, err := p.Append(nil); !errors.Is(err, vstack.ErrInternal) {
				t.Errorf("written as %d bytes, %v", len(b), err)
			}
		})
	}
}

func TestARequestIsReadBack(t *testing.T) {
	r := Request{Since: 7, Have: 6, Seen: 9, Map: 5, References: true, Wait: -1}
	r.Groups.Add(0)
	r.Groups.Add(77)
	r.Groups.Add(vstack.PlacementGroups - 1)
	got, err := ParseRequest(r.Query())
	if err != nil || got != r {
		t.Errorf("reads as %+v, %v", got, err)
	}
	if n := 0; !got.Groups.Has(77) || got.Groups.Has(78) || got.Groups.Has(60000) {
		t.Errorf("groups %v of %d", got.Groups, n)
	}
	got.Groups.Remove(77)
	var left []vstack.PG
	for pg := range got.Groups.All {
		left = append(left, pg)
	}
	if !reflect.DeepEqual(left, []vstack.PG{0, vstack.PlacementGroups - 1}) {
		t.Errorf("left are %v", left)
	}
	r.Wait = 1500 * time.Millisecond
	if q := r.Query(); q.Get("wait") != "1.5" {
		t.Errorf("waits %q", q.Get("wait"))
	}
	for _, bad := range []string{"since=x", "have=-1", "only=titles", "groups=AA", "groups=%3D%3D"} {
		q := r.Query()
		name, value, _ := strings.Cut(bad, "=")
		q.Set(name, value)
		if _, err := ParseRequest(q); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: answered %v", bad, err)
		}
	}
}

// A page of a member of the first release says the same, in its own way.
func TestAPageWithManifestsIsReadByGroups(t *testing.T) {
	m := &vstack.Manifest{Version: 1, Video: vstack.VideoID{1}, Tracks: []vstack.Track{{Number: 2, Init: vstack.ChunkRef{ID: vstack.ChunkID{1}, Size: 10}}}}
	for seq := range uint32(200) {
		m.Tracks[0].Chunks = append(m.Tracks[0].Chunks, vstack.ChunkRef{Seq: seq + 1, ID: vstack.ChunkID{2, byte(seq)}, Size: 20})
	}
	page := wire.FeedPage{Index: 9, More: true, Cluster: vstack.ClusterID{3}, Placement: &vstack.PlacementMap{Version: 4},
		Uploads: []vstack.Upload{{ID: vstack.UploadID{1}, State: vstack.UploadOpen, Source: vstack.Source{Name: "x"}, Opened: time.Now()}},
		Videos: []wire.FeedVideo{
			{Video: vstack.Video{ID: m.Video, State: vstack.VideoPublished, Class: vstack.ClassHot, Index: 8, ClassIndex: 7}, Manifest: m},
			{Video: vstack.Video{ID: vstack.VideoID{2}, State: vstack.VideoUploading, Class: vstack.ClassHot, Index: 9}},
			{Video: vstack.Video{ID: vstack.VideoID{3}, State: vstack.VideoFailed, Class: vstack.ClassHot, Index: 9}},
		}}
	var req Request
	req.Groups.Add(17)
	got := FromJSON(&page, req)
	if got.Index != 9 || got.At != 0 || !got.More || got.Cluster != page.Cluster || got.Placement != page.Placement || len(got.Videos) != 2 {
		t.Fatalf("page %+v", got)
	}
	if u := got.Uploads[0]; u != (vstack.Upload{ID: vstack.UploadID{1}, State: vstack.UploadOpen}) {
		t.Errorf("upload %+v", u)
	}
	want := 0
	for s := range m.Slots {
		if s.PG() == 17 {
			want++
		}
	}
	if v := got.Videos[0]; len(v.References) != want || want == 0 || v.References[0].Slot(v.ID).PG() != 17 || v.ClassIndex != 7 {
		t.Errorf("video with %d references, want %d: %+v", len(v.References), want, v)
	}
	page.More = false
	if last, none := FromJSON(&page, req), FromJSON(&page, Request{Since: 9}); last.At != 9 || none.At != 0 {
		t.Errorf("the last page is of a catalog at %d, one without news of one at %d; want 9 and 0: not known", last.At, none.At)
	}
	page.More, page.End = true, 12
	if told := FromJSON(&page, req); told.At != 12 {
		t.Errorf("a page that tells of a catalog at 12 is of one at %d", told.At)
	}
	req.References = true
	if got := FromJSON(&page, req); got.Placement != nil || got.Uploads != nil || len(got.Videos) != 2 {
		t.Errorf("only references: %+v", got)
	}
}

// FuzzDecodePage wants every page that is read to be written as the same bytes again.
func FuzzDecodePage(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add(encode(f, Page{}))
	f.Add(encode(f, guarded()))
	f.Add(encode(f, Page{Index: 1, At: 2, Videos: []Video{{State: vstack.VideoPublished, Class: vstack.ClassHot}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, in := range [][]byte{b, summed(b)} {
			p, err := Decode(in)
			if err != nil {
				if !errors.Is(err, vstack.ErrInvalid) {
					t.Fatalf("refused with %v", err)
				}
				continue
			}
			if p.Placement != nil || p.Keys != nil {
				continue // JSON has many forms
			}
			if again := encode(t, p); !bytes.Equal(again, in) {
				t.Fatalf("%x reads as %+v, which is %x", in, p, again)
			}
		}
	})
}

// summed is b with the checksum that it should have, so that the fuzzer gets past it.
func summed(b []byte) []byte {
	if len(b) < sumSize {
		return b
	}
	return resum(bytes.Clone(b))
}

func resum(b []byte) []byte {
	body := b[:len(b)-sumSize]
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

// TestALayoutBelongsToItsClass: a page whose sum is right, and that no member would send.
func TestALayoutBelongsToItsClass(t *testing.T) {
	for name, spoil := range map[string]func(*Page){
		"a hot video in fragments":    func(p *Page) { p.Videos[0].Class = vstack.ClassHot },
		"a scheme that there is not":  func(p *Page) { p.Videos[0].Scheme.M = 0 },
		"a cold one that has none":    func(p *Page) { p.Videos[2].Class = vstack.ClassCold },
		"a hot one that keeps copies": func(p *Page) { p.Videos[2].Kept.Small = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			p := cold()
			spoil(&p)
			if got, err := Decode(encode(t, p)); !errors.Is(err, vstack.ErrInvalid) {
				t.Errorf("read as %+v, %v", got, err)
			}
		})
	}
}
