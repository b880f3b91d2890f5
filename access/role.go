package access

import (
	"fmt"

	"drumbeat"
)

// Role is what somebody may do; a higher role may do all that a lower one
// may. The zero Role is Nobody's: a route that forgot to state its least role
// is open to no one.
type Role uint8

// The roles, lowest first.
const (
	Nobody     Role = iota // as a least role: closed
	Anyone                 // without credentials
	Viewer                 // reads
	Technician             // reads and answers alerts
	Engineer               // everything
)

// roleNames names the roles, indexed by them.
//
//nolint:gochecknoglobals // a constant table
var roleNames = [...]string{"nobody", "anyone", "viewer", "technician", "engineer"}

// String returns the role's name.
func (r Role) String() string {
	if int(r) >= len(roleNames) {
		return "nobody"
	}
	return roleNames[r]
}

// ParseRole reads a role that a person can be given: viewer, technician or
// engineer.
func ParseRole(name string) (Role, error) {
	for role := Viewer; role <= Engineer; role++ {
		if role.String() == name {
			return role, nil
		}
	}
	return Nobody, fmt.Errorf("read role %q: want viewer, technician or engineer: %w", name, drumbeat.ErrInvalid)
}

// May says whether somebody of role r may use what asks for least.
func (r Role) May(least Role) bool { return least != Nobody && r >= least }

// roleNamed reads a role that the record holds, whoever it was.
func roleNamed(name string) Role {
	for role, known := range roleNames {
		if known == name {
			return Role(role)
		}
	}
	return Nobody
}
