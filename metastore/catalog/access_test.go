package catalog

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// whole is epoch in seconds, which tokens can say.
var whole = epoch.Truncate(time.Second)

func tokenKey(id string) *vstack.TokenKey {
	return &vstack.TokenKey{ID: id, Public: bytes.Repeat([]byte{id[len(id)-1]}, 32), Created: whole, TokensFrom: whole}
}

func drawAccess(t *rapid.T, n int) (command.Type, any) {
	id := fmt.Sprintf("k%d", n)
	at := whole.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "from")) * time.Hour)
	switch rapid.IntRange(0, 3).Draw(t, "access") {
	case 0:
		return command.ChangeTokenKeys, command.ChangeTokenKeysPayload{Add: tokenKey(id)}
	case 1:
		return command.ChangeTokenKeys, command.ChangeTokenKeysPayload{Revoke: &command.TokenKeyRevoke{ID: id, TokensFrom: at}}
	case 2:
		return command.ChangeTokenKeys, command.ChangeTokenKeysPayload{Drop: id}
	}
	return command.PatchVideo, command.PatchVideoPayload{Video: video(n), TokensFrom: at,
		Visibility: vstack.Visibility(rapid.SampledFrom([]string{"", "public", "unlisted", "private", "secret"}).Draw(t, "visibility"))}
}

func TestWhoMayWatch(t *testing.T) {
	d := placed(t)
	d.publish(1, 2)
	set := func(v vstack.Visibility, from time.Time) command.PatchVideoPayload {
		return command.PatchVideoPayload{Video: video(1), Visibility: v, TokensFrom: from}
	}
	opens := opening(2)
	opens.Visibility = vstack.VisibilityPrivate
	d.raise(vstack.LevelPolicy)
	for _, refused := range []struct {
		t command.Type
		p any
	}{
		{command.PatchVideo, set(vstack.VisibilityPrivate, time.Time{})}, {command.PatchVideo, set("", whole)},
		{command.OpenUpload, opens}, {command.ChangeTokenKeys, command.ChangeTokenKeysPayload{Add: tokenKey("k1")}},
	} {
		d.refused(vstack.ErrInvalid, refused.t, refused.p)
	}
	d.raise(vstack.LevelAccess)
	before, sum := d.c.View(), checksum(t, d.c)
	if v := d.must(command.PatchVideo, set(vstack.VisibilityPrivate, time.Time{})).Video; !v.Access.Private() || v.Access.Index != d.index {
		t.Errorf("access %+v at %d", v.Access, d.index)
	}
	if checksum(t, d.c) == sum {
		t.Error("it is not in the checksum")
	}
	if page := feedOf(t, d.c.View(), before.FeedIndex()); len(page.Videos) != 1 || !page.Videos[0].Video.Access.Private() {
		t.Errorf("the feed tells %+v", page.Videos)
	}
	at := d.c.View().FeedIndex()
	title := "refused as a whole"
	d.refused(vstack.ErrInvalid, command.PatchVideo, command.PatchVideoPayload{Video: video(1), Title: &title, Visibility: "secret"})
	d.refused(vstack.ErrInvalid, command.PatchVideo, set("", whole.Add(time.Millisecond)))
	if d.c.View().FeedIndex() != at {
		t.Error("a refusal changed something")
	}
	d.must(command.PatchVideo, set("", whole.Add(time.Hour)))
	d.must(command.PatchVideo, set(vstack.VisibilityUnlisted, whole)) // what is revoked stays so
	v, err := d.c.View().Video(video(1))
	if err != nil || v.Access.Visibility != vstack.VisibilityUnlisted || !v.Access.TokensFrom.Equal(whole.Add(time.Hour)) {
		t.Errorf("access %+v, %v", v.Access, err)
	}
	if u := d.must(command.OpenUpload, opens).Upload; u == nil {
		t.Fatal("no upload")
	}
	if v, err := d.c.View().Video(video(2)); err != nil || !v.Access.Private() {
		t.Errorf("from its upload on: %+v, %v", v.Access, err)
	}
	if v, err := before.Video(video(1)); err != nil || v.Access != (vstack.Access{}) {
		t.Errorf("an older view has %+v, %v", v.Access, err)
	}
	restored := newCatalog(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil || checksum(t, restored) != checksum(t, d.c) {
		t.Errorf("a snapshot: %v", err)
	}
}

func TestKeysOfTokens(t *testing.T) {
	d := placed(t)
	d.raise(vstack.LevelAccess)
	change := func(p command.ChangeTokenKeysPayload) { t.Helper(); d.must(command.ChangeTokenKeys, p) }
	refused := func(why *vstack.Sentinel, p command.ChangeTokenKeysPayload) {
		t.Helper()
		d.refused(why, command.ChangeTokenKeys, p)
	}
	change(command.ChangeTokenKeysPayload{Add: tokenKey("k1")})
	old := d.c.View()
	if keys := feedOf(t, old, old.FeedIndex()-1).Keys; keys == nil || len(keys.Items) != 1 {
		t.Errorf("the feed tells of %+v", keys)
	}
	if keys := feedOf(t, old, old.FeedIndex()).Keys; keys != nil {
		t.Errorf("the feed tells again of %+v", keys)
	}
	change(command.ChangeTokenKeysPayload{Add: tokenKey("k1")}) // a repeat
	other := tokenKey("k1")
	other.Public = bytes.Repeat([]byte{1}, 32)
	refused(vstack.ErrAlreadyExists, command.ChangeTokenKeysPayload{Add: other})
	short := tokenKey("k2")
	short.Public = short.Public[:31]
	refused(vstack.ErrInvalid, command.ChangeTokenKeysPayload{Add: short})
	refused(vstack.ErrInvalid, command.ChangeTokenKeysPayload{Add: &vstack.TokenKey{ID: "a b", Public: other.Public}})
	refused(vstack.ErrNotFound, command.ChangeTokenKeysPayload{Drop: "k9"})
	refused(vstack.ErrNotFound, command.ChangeTokenKeysPayload{Revoke: &command.TokenKeyRevoke{ID: "k9", TokensFrom: whole}})
	change(command.ChangeTokenKeysPayload{Revoke: &command.TokenKeyRevoke{ID: "k1", TokensFrom: whole.Add(time.Hour)}})
	change(command.ChangeTokenKeysPayload{Revoke: &command.TokenKeyRevoke{ID: "k1", TokensFrom: whole}})
	if k, ok := d.c.View().TokenKeys().ByID("k1"); !ok || !k.TokensFrom.Equal(whole.Add(time.Hour)) {
		t.Errorf("key %+v", k)
	}
	if k, _ := old.TokenKeys().ByID("k1"); !k.TokensFrom.Equal(whole) {
		t.Errorf("an older view has %+v", k)
	}
	for n := 2; n <= vstack.MaxTokenKeys; n++ {
		change(command.ChangeTokenKeysPayload{Add: tokenKey(fmt.Sprintf("k%d", n))})
	}
	refused(vstack.ErrTooLarge, command.ChangeTokenKeysPayload{Add: tokenKey("more")})
	change(command.ChangeTokenKeysPayload{Drop: "k1"})
	if _, ok := d.c.View().TokenKeys().ByID("k1"); ok {
		t.Error("a key that was removed is there")
	}
	if events, _, _ := d.c.View().Events(0, 1000); events[len(events)-1].Kind != vstack.EventAccess || events[len(events)-1].Of != "key k1" {
		t.Errorf("the last event is %+v", events[len(events)-1])
	}
}
