package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drumbeat"
	"drumbeat/access"
)

// tokenCommand makes a bearer token.
type tokenCommand struct {
	Data string        `required:"" help:"Data folder." type:"path"`
	Name string        `required:"" help:"Whose token it is; the record of acts shows it."`
	Role string        `default:"viewer" enum:"viewer,technician,engineer" help:"What it may do: viewer reads, technician answers alerts and sends readings, engineer does everything."`
	Life time.Duration `default:"2160h" help:"How long it is good for."`
	Link bool          `help:"Make a one-time sign-in code for the page instead, good for --life, at most a day."`
}

// Run prints the secret, which is shown this once.
func (c *tokenCommand) Run(ctx context.Context, p *process) error {
	s, err := openSite(ctx, c.Data, nil, p)
	if err != nil {
		return err
	}
	secret, err := c.make(ctx, s)
	if err == nil {
		_, err = fmt.Fprintln(p.stdout, secret)
	}
	return errors.Join(err, s.Close())
}

func (c *tokenCommand) make(ctx context.Context, s *site) (string, error) {
	role, known := map[string]access.Role{
		"viewer": access.Viewer, "technician": access.Technician, "engineer": access.Engineer,
	}[c.Role]
	if !known {
		return "", fmt.Errorf("--role %q: want viewer, technician or engineer: %w", c.Role, drumbeat.ErrInvalid)
	}
	of := access.Person{Name: c.Name, Role: role}
	if c.Link {
		return s.access.NewLink(ctx, localUser, of, min(c.Life, access.MaxLinkLife))
	}
	_, secret, err := s.access.NewToken(ctx, localUser, of, c.Life)
	return secret, err
}
