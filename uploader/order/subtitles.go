package order

import (
	"path/filepath"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// maxSubtitles bounds the subtitles of an order.
const maxSubtitles = 8

// fieldSubtitles names subtitles that were sent before the film, "ID[:LANGUAGE]" with
// commas between. In a form it is the file itself, its language behind the name:
// "subtitles:de".
const fieldSubtitles = "subtitles"

// Subtitles are a text that the uploader keeps for the film.
type Subtitles struct {
	ID       vstack.ChunkID `json:"id"`
	Language string         `json:"language,omitzero"` // RFC 5646
}

// parseSubtitles reads a field's value.
func parseSubtitles(value string) ([]Subtitles, bool) {
	var out []Subtitles
	for _, part := range strings.Split(value, ",") {
		name, tag, said := strings.Cut(strings.TrimSpace(part), ":")
		id, err := vstack.ParseChunkID(name)
		s := Subtitles{ID: id, Language: media.LanguageTag(tag)}
		if err != nil || said && s.Language == "" || len(out) == maxSubtitles {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// subtitlesField says that a form's field is a file of subtitles, and its language: what
// the field's name says, else what the file's name does, as "film.de.srt".
func subtitlesField(field, file string) (language string, ok bool) {
	name, tag, said := strings.Cut(field, ":")
	if name != fieldSubtitles {
		return "", false
	}
	if said {
		language = media.LanguageTag(tag)
		return language, language != ""
	}
	return languageOfName(file), true
}

// languageOfName guesses a language from a file's name: "film.de.srt", "film.pt-BR.vtt".
// Codes of three letters are words too often.
func languageOfName(file string) string {
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	tag := strings.TrimPrefix(filepath.Ext(stem), ".")
	if base, _, _ := strings.Cut(tag, "-"); len(base) != 2 {
		return ""
	}
	return media.LanguageTag(tag)
}
