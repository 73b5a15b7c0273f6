package labs

import (
	"fmt"
	"strings"

	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/console"
)

// steps are what a person does next, in order, and where.
type steps struct{ lines []string }

func (s *steps) add(where, format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf("%d. %-8s %s", len(s.lines)+1, where+":", fmt.Sprintf(format, args...)))
}

// addMember is the step that makes a host a member whose process waits for it.
func (s *steps) addMember(l *lab.Lab, h *lab.Host) {
	if self, ok := h.Config.Self(); ok {
		s.add("here", "vstack --cluster %s raft add %s --raft %s --api %s", l.Client, h.ID, self.Raft, self.API)
	}
}

// client is the step for copies of the client bundle.
func (s *steps) client(l *lab.Lab) {
	s.add("later", "%s names the host now: its vstack.yaml goes wherever else that bundle is used", l.Client)
}

func rowOf(rows []labHost, h *lab.Host) labHost {
	for _, r := range rows {
		if r.Host == string(h.ID) {
			return r
		}
	}
	return labHost{Host: string(h.ID)}
}

func (r labHost) table(s steps) console.Table {
	return console.Table{
		Head: []string{"host", "address", "roles", "bundle"}, Rows: [][]any{{r.Host, r.Addr, r.Roles, r.Bundle}},
		Foot: "\n" + strings.Join(s.lines, "\n"),
	}
}
