package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"

	"github.com/vstack/vstack/internal/cluster/pace"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// SendForm is for uploaders from before resumable uploads: it sends the whole file to the one that
// said so, as a multipart body of a known length: the form before the file and the boundary after it
// are made aside. The first of Fields, the file's name, is elsewhere in a form.
func (d *Delivery) SendForm(ctx context.Context) (wire.Accepted, error) {
	var acc wire.Accepted
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	for _, kv := range d.Fields[1:] {
		if err := mw.WriteField(kv[0], kv[1]); err != nil {
			return acc, err
		}
	}
	if _, err := mw.CreateFormFile("video", filepath.Base(d.File.Name())); err != nil {
		return acc, err
	}
	head := bytes.Clone(form.Bytes())
	form.Reset()
	if err := mw.Close(); err != nil {
		return acc, err
	}
	tail := form.Bytes()
	task := d.Prog.Task("upload", console.UnitBytes, d.Size)
	counted := pace.NewReader(ctx, d.File, task, 0, d.Size)
	body := io.MultiReader(bytes.NewReader(head), counted, bytes.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+d.Addr+"/v1/upload", body)
	if err != nil {
		return acc, err
	}
	req.ContentLength = int64(len(head)) + d.Size + int64(len(tail))
	req.Header.Set("Content-Type", mw.FormDataContentType())
	req.Header.Set("Expect", "100-continue")
	present(req, d.Ticket)
	resp, err := d.To.Films.Do(req)
	if err != nil {
		// Where everything was sent the answer is lost: the uploader may be at work on it.
		task.Fail("connection to " + d.Addr + " lost")
		return acc, console.Hint(err, "vstack video upload --resume %s", d.File.Name())
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		task.Fail(resp.Status)
		err := wire.ReadError(resp)
		if errors.Is(err, vstack.ErrUnavailable) || errors.Is(err, vstack.ErrTooManyUploads) {
			err = fmt.Errorf("%w: %w", errPassedOn, err)
		}
		return acc, err
	}
	task.End("received by " + d.Addr)
	return acc, httpclient.Decode(resp, &acc)
}
