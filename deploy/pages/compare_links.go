package pages

import (
	"context"
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
)

// linkTries bounds how often a play is repeated because its links kept bad time.
const linkTries = 3

// LinkKind is a kind of emulated links.
type LinkKind struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// Links emulate links between a viewer in this process and the stores.
type Links interface {
	Ls() []LinkKind
	// Open makes links of a kind from now on, the same ones for the same seed.
	Open(kind string, seed uint64, stores []vstack.Store) (LinkedNetwork, error)
}

// LinkedNetwork is a network whose way to the stores are emulated links.
type LinkedNetwork interface {
	network.Network
	Late() error // not nil: the links kept bad time, because the machine is too busy
	Close() error
}

// linker has plays go over links.
type linker struct {
	links  Links // nil: there are none
	places func(ctx context.Context) (*vstack.PlacementMap, error)
}

func (l *linker) kinds() []LinkKind {
	if l.links == nil {
		return []LinkKind{}
	}
	return l.links.Ls()
}

// know refuses a kind that there is not.
func (l *linker) know(kind string) error {
	if kind == "" {
		return nil
	}
	for _, k := range l.kinds() {
		if k.Name == kind {
			return nil
		}
	}
	return fmt.Errorf("compare over links %q: %w: this console emulates %d kinds, none of that name", clip(kind), vstack.ErrInvalid, len(l.kinds()))
}

// over has a play go over links of a kind, once more where they kept bad time.
func (l *linker) over(ctx context.Context, kind string, seed uint64, play func(network.Network) (*CompareRun, error)) (run *CompareRun, err error) {
	if kind == "" {
		return play(nil)
	}
	m, err := l.places(ctx)
	if err != nil {
		return nil, err
	}
	for range linkTries {
		n, err := l.links.Open(kind, seed, m.Stores)
		if err != nil {
			return nil, err
		}
		run, err = play(n)
		late := n.Late()
		if err = errors.Join(err, n.Close()); err != nil {
			return nil, err
		}
		if late == nil {
			break
		}
		run.Late = late.Error()
	}
	return run, nil
}
