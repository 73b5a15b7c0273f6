package short

import (
	"fmt"
	"strings"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

// least is how much of an id a person must type.
const least = 4

// Finder looks for the only id that begins or ends with a text.
type Finder[ID interface {
	comparable
	fmt.Stringer
}] struct {
	what, text, list string
	found            []ID
}

// New looks for a text. what is the noun of such ids, list the command that lists them.
func New[ID interface {
	comparable
	fmt.Stringer
}](what, text, list string) *Finder[ID] {
	return &Finder[ID]{what: what, text: text, list: list}
}

// Check refuses a text that is no part of an id.
func (f *Finder[ID]) Check() error {
	if len(f.text) < least || strings.Trim(f.text, "0123456789abcdef-") != "" {
		return console.Hint(fmt.Errorf("%w: %s %q: want an id, or %d or more characters of its beginning or its end", console.ErrUsage, f.what, f.text, least), "%s", f.list)
	}
	return nil
}

// Look takes an id into account; one that it has seen counts once.
func (f *Finder[ID]) Look(id ID) {
	s := id.String()
	if !strings.HasPrefix(s, f.text) && !strings.HasSuffix(s, f.text) {
		return
	}
	for _, have := range f.found {
		if have == id {
			return
		}
	}
	f.found = append(f.found, id)
}

// Only is the id that was found, if it was one.
func (f *Finder[ID]) Only() (ID, error) {
	var none ID
	switch len(f.found) {
	case 0:
		return none, console.Hint(fmt.Errorf("%s %s: %w", f.what, f.text, vstack.ErrNotFound), "%s", f.list)
	case 1:
		return f.found[0], nil
	}
	return none, console.Hint(fmt.Errorf("%w: %s %s: %d ids begin or end so, %s and %s among them",
		console.ErrUsage, f.what, f.text, len(f.found), f.found[0], f.found[1]), "more of it; %s", f.list)
}
