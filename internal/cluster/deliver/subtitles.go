package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// maxSubtitles bounds a file of subtitles that is read, in bytes; the uploader has a
// bound of its own.
const maxSubtitles = 8 << 20

// subtitlesOf takes FILE[:LANGUAGE] apart; a name that exists as a whole has no language.
func subtitlesOf(arg string) (file, language string) {
	if _, err := os.Stat(arg); err == nil {
		return arg, ""
	}
	if i := strings.LastIndexByte(arg, ':'); i > 0 && !strings.ContainsRune(arg[i:], os.PathSeparator) {
		return arg[:i], arg[i+1:]
	}
	return arg, ""
}

// sendSubtitles has the uploader at d.Addr keep the subtitles and returns the value of
// the field that names them.
func (d *Delivery) sendSubtitles(ctx context.Context) (string, error) {
	var ids []string
	for _, arg := range d.Subtitles {
		file, language := subtitlesOf(arg)
		info, err := os.Stat(file)
		if err != nil {
			return "", fmt.Errorf("subtitles: %w", err)
		}
		if info.Size() > maxSubtitles {
			return "", fmt.Errorf("subtitles %s: %w: %d bytes", file, vstack.ErrTooLarge, info.Size())
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("subtitles: %w", err)
		}
		id, err := d.sendText(ctx, b)
		if err != nil {
			return "", fmt.Errorf("subtitles %s: %w", file, err)
		}
		if language != "" {
			id += ":" + language
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, ","), nil
}

func (d *Delivery) sendText(ctx context.Context, b []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+d.Addr+"/v1/subtitles", bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	resp, err := d.do(req)
	switch {
	case errors.Is(err, vstack.ErrUnavailable) || errors.Is(err, vstack.ErrTooManyUploads) || errors.Is(err, vstack.ErrTimeout):
		return "", fmt.Errorf("%w: %w", errPassedOn, err)
	case errors.Is(err, vstack.ErrNotFound) || errors.Is(err, vstack.ErrMethod):
		return "", fmt.Errorf("%w: the uploader at %s is of a version that takes none", vstack.ErrInvalid, d.Addr)
	case err != nil:
		return "", err
	}
	defer resp.Body.Close()
	var kept wire.Subtitles
	if err := httpclient.Decode(resp, &kept); err != nil {
		return "", err
	}
	return kept.ID.String(), nil
}
