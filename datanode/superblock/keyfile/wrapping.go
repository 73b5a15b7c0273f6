package keyfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// Wrapping says what opens key files: Identity, Passphrase or Command, exactly one.
type Wrapping struct {
	// Identity is the path of a file of age identities, which nobody else may read.
	Identity string
	// MakeIdentity has a missing Identity be made when a store is.
	MakeIdentity bool
	// Recipients is the path of a file of further age recipients, whose identities open the
	// files as well: a key that lies in a safe. With Identity alone.
	Recipients string
	// Passphrase is a command that prints the passphrase.
	Passphrase []string
	// Command is one that, with the word "wrap" behind its arguments, reads 16 bytes and prints
	// them wrapped, and with "unwrap" the other way round.
	Command []string

	work int // of scrypt, 2 to the power of it; 0: age's default, about a second
}

// patience bounds what a command may take, maxOutput what it may say.
const (
	patience  = time.Minute
	maxOutput = 64 << 10
)

// Validate wants exactly one.
func (w Wrapping) Validate() error {
	n := 0
	for _, given := range []bool{w.Identity != "", len(w.Passphrase) > 0, len(w.Command) > 0} {
		if given {
			n++
		}
	}
	switch {
	case n != 1:
		return fmt.Errorf("wrap data keys: %w: want an identity, a passphrase command or a wrap command, and one of them", vstack.ErrInvalid)
	case w.Recipients != "" && w.Identity == "":
		return fmt.Errorf("wrap data keys: %w: recipients belong to an identity", vstack.ErrInvalid)
	}
	return nil
}

// String names it for people.
func (w Wrapping) String() string {
	switch {
	case w.Identity != "":
		return "identity " + w.Identity
	case len(w.Passphrase) > 0:
		return "passphrase of " + w.Passphrase[0]
	}
	return "command " + strings.Join(w.Command, " ")
}

// identities open files.
func (w Wrapping) identities() ([]age.Identity, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	switch {
	case w.Identity != "":
		return readIdentities(w.Identity)
	case len(w.Passphrase) > 0:
		phrase, err := w.phrase()
		if err != nil {
			return nil, err
		}
		id, err := age.NewScryptIdentity(phrase)
		return []age.Identity{id}, err
	}
	return []age.Identity{command(w.Command)}, nil
}

// recipients are those that files are made for.
func (w Wrapping) recipients() ([]age.Recipient, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	switch {
	case len(w.Passphrase) > 0:
		phrase, err := w.phrase()
		if err != nil {
			return nil, err
		}
		r, err := age.NewScryptRecipient(phrase)
		if err == nil && w.work > 0 {
			r.SetWorkFactor(w.work)
		}
		return []age.Recipient{r}, err
	case len(w.Command) > 0:
		return []age.Recipient{command(w.Command)}, nil
	}
	ids, err := readIdentities(w.Identity)
	if err != nil {
		return nil, err
	}
	var out []age.Recipient
	for _, id := range ids {
		switch id := id.(type) {
		case *age.X25519Identity:
			out = append(out, id.Recipient())
		case *age.HybridIdentity:
			out = append(out, id.Recipient())
		default:
			return nil, fmt.Errorf("identity file %s: %w: a kind of identity that this program does not know", w.Identity, vstack.ErrInvalid)
		}
	}
	if w.Recipients == "" {
		return out, nil
	}
	b, err := os.ReadFile(w.Recipients)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	more, err := age.ParseRecipients(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("recipients %s: %w: %w", w.Recipients, vstack.ErrInvalid, err)
	}
	return append(out, more...), nil
}

// readIdentities reads a file that its owner's group may read at most.
func readIdentities(path string) ([]age.Identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("identity file: %w: %w", vstack.ErrKeyMissing, err)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("identity file %s: %w: mode %04o, mend it with chmod 600", path, vstack.ErrKeyMissing, mode)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("identity file: %w: %w", vstack.ErrKeyMissing, err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil { // of age, which does not repeat what it read
		return nil, fmt.Errorf("identity file %s: %w: it holds no age identity", path, vstack.ErrKeyMissing)
	}
	return ids, nil
}

// makeIdentity makes the identity file, unless it is there.
func (w Wrapping) makeIdentity() error {
	if _, err := os.Stat(w.Identity); !w.MakeIdentity || !errors.Is(err, fs.ErrNotExist) {
		return nil // what is wrong with it, its reader says
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("make identity: %w", err)
	}
	text := fmt.Sprintf("# Opens the data keys of this host's stores. Without it, or a copy of it, what they hold is gone.\n# public key: %s\n%s\n", id.Recipient(), id)
	if err := vfs.WriteFile(vfs.OS{}, w.Identity, []byte(text), 0o600); err != nil {
		return fmt.Errorf("make identity: %w", err)
	}
	return nil
}

// phrase is the first line that the passphrase command prints.
func (w Wrapping) phrase() (string, error) {
	out, err := run(w.Passphrase, nil)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("passphrase command %s: %w: it printed none", w.Passphrase[0], vstack.ErrKeyMissing)
	}
	return line, nil
}

// run gives a command its input and returns what it prints.
func run(argv []string, in []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	out, said := &bounded{full: cancel}, &bounded{full: cancel}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(in), out, said, time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("command %s: %w: %w: %.200s", argv[0], vstack.ErrKeyMissing, err, strings.TrimSpace(said.buf.String()))
	}
	return out.buf.Bytes(), nil
}

// bounded is a buffer that refuses more than maxOutput, and says so. It has no method of
// bytes.Buffer but these: io.Copy would use ReadFrom, which knows no bound.
type bounded struct {
	buf  bytes.Buffer
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > maxOutput {
		b.full()
		return 0, fmt.Errorf("%w: more than %d bytes", vstack.ErrTooLarge, maxOutput)
	}
	return b.buf.Write(p)
}

// command wraps the key of an age file.
type command []string

// stanza is the kind of a command's in an age file.
const stanza = "vstack-command"

// Wrap is age.Recipient.
func (c command) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	out, err := run(append(c[:len(c):len(c)], "wrap"), fileKey)
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("command %s wrap: %w: it printed nothing", c[0], vstack.ErrInvalid)
	}
	return []*age.Stanza{{Type: stanza, Body: out}}, err
}

// Unwrap is age.Identity.
func (c command) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == stanza {
			return run(append(c[:len(c):len(c)], "unwrap"), s.Body)
		}
	}
	return nil, age.ErrIncorrectIdentity
}
