package vstack

import (
	"fmt"
	"slices"
	"strings"
)

// Roles is a set of what the owner of a certificate may do; empty for a reader.
type Roles uint8

const (
	// RoleMeta speaks Raft as itself, if it is a member, and forwards what others ask.
	RoleMeta Roles = 1 << iota
	// RoleData reports and registers its own stores, votes, and changes epochs.
	RoleData
	// RoleIngest opens uploads, and writes, publishes and aborts those that it owns.
	RoleIngest
	// RoleGateway reads all and counts views of many players.
	RoleGateway
	// RoleAdmin is a person or a tool: everything that an operator does, and no Raft.
	RoleAdmin

	// What follows no certificate has: it is what API keys may do.

	// RoleManage changes and deletes films.
	RoleManage
	// RoleUpload uploads films.
	RoleUpload
	// RoleRead sees what is private.
	RoleRead

	// RolesUnsaid are those of a host whose certificate is from before there were roles.
	RolesUnsaid = RoleMeta | RoleData | RoleIngest
	// RolesHost are all that a host may have.
	RolesHost = RolesUnsaid | RoleGateway
)

// roleNames are those of certificates, and keyNames those of API keys that follow them.
var (
	roleNames = []string{"meta", "data", "ingest", "gateway", "admin"}
	keyNames  = []string{"manage", "upload", "read"}
)

// ParseRole reads one role of a certificate.
func ParseRole(name string) (Roles, error) {
	for i, n := range roleNames {
		if n == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("role %q: %w: want one of %s", clip(name), ErrInvalid, strings.Join(roleNames, ", "))
}

// Has reports whether r holds any of the others.
func (r Roles) Has(any Roles) bool { return r&any != 0 }

// Names are the roles' names, in the order above.
func (r Roles) Names() []string {
	var out []string
	for i, n := range slices.Concat(roleNames, keyNames) {
		if r.Has(1 << i) {
			out = append(out, n)
		}
	}
	return out
}

// String is the names, separated by commas.
func (r Roles) String() string { return strings.Join(r.Names(), ",") }

// ParseRoles reads what String wrote of a certificate.
func ParseRoles(s string) (all Roles, err error) {
	if s == "" {
		return 0, nil
	}
	for _, name := range strings.Split(s, ",") {
		r, err := ParseRole(name)
		if err != nil {
			return 0, err
		}
		all |= r
	}
	return all, nil
}
