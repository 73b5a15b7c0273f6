package backup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"github.com/vstack/vstack/internal/vstack"
)

// ageMagic is how a file of age begins: an encrypted backup is one, around the whole of a plain one.
const ageMagic = "age-encryption.org/v1\n"

// Recipients reads a file of age recipients: their identities open what is saved.
func Recipients(path string) ([]age.Recipient, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("recipients of backups: %w", err)
	}
	out, err := age.ParseRecipients(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("recipients of backups %s: %w: %w", path, vstack.ErrInvalid, err)
	}
	return out, nil
}

// Identities reads a file of age identities.
func Identities(path string) ([]age.Identity, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("identity of backups: %w: %w", vstack.ErrKeyMissing, err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil { // of age, which does not repeat what it read
		return nil, fmt.Errorf("identity of backups %s: %w: it holds no age identity", path, vstack.ErrKeyMissing)
	}
	return ids, nil
}

// Decrypt reads a backup as it was before it was encrypted, or one that is plain as it is.
func Decrypt(r io.Reader, ids []age.Identity) (io.Reader, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	if head, err := in.Peek(len(ageMagic)); err != nil || string(head) != ageMagic {
		return in, nil // what is wrong with it, whoever reads it says
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("backup: %w: it is encrypted; name with --identity a file of age identities that open it", vstack.ErrKeyMissing)
	}
	out, err := age.Decrypt(in, ids...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, fmt.Errorf("backup: %w: it is encrypted for other identities", vstack.ErrKeyMissing)
	case err != nil:
		return nil, invalid("%v", err)
	}
	return out, nil
}

// encrypted has fetch write to w encrypted for recipients. What it answers opens it once more,
// to be read back: an identity that nobody keeps.
func encrypted(w io.Writer, to []age.Recipient, fetch func(io.Writer) error) ([]age.Identity, error) {
	if len(to) == 0 {
		return nil, fetch(w)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("encrypt backup: %w", err)
	}
	out, err := age.Encrypt(w, append(to[:len(to):len(to)], id.Recipient())...)
	if err != nil {
		return nil, fmt.Errorf("encrypt backup: %w: %w", vstack.ErrInvalid, err)
	}
	if err := fetch(out); err != nil {
		return nil, err
	}
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("encrypt backup: %w", err)
	}
	return []age.Identity{id}, nil
}
