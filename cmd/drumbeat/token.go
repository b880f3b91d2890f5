package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

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

// tokenAsked says whose token or link is wanted.
type tokenAsked struct {
	Body struct {
		Name        string `json:"name" minLength:"1" maxLength:"200"`
		Role        string `json:"role" enum:"viewer,technician,engineer"`
		LifeSeconds int64  `json:"life_seconds" minimum:"1"`
		Link        bool   `json:"link,omitempty" doc:"A one-time sign-in code for the page instead"`
	}
}

// secret is a token or a code, shown this once.
type secret struct {
	Secret string `json:"secret"`
}

func makeToken() *operation[tokenAsked, output[secret]] {
	return &operation[tokenAsked, output[secret]]{
		method: http.MethodPost, path: "/v1/tokens", id: "make-token", least: access.Engineer,
		summary: "Make a bearer token, or a one-time sign-in code for the page",
		run: func(ctx context.Context, h *host, who access.Person, in *tokenAsked) (*output[secret], error) {
			role, err := access.ParseRole(in.Body.Role)
			if err != nil {
				return nil, err
			}
			of := access.Person{Name: in.Body.Name, Role: role}
			life := time.Duration(min(in.Body.LifeSeconds, int64(access.MaxTokenLife/time.Second))) * time.Second
			if in.Body.Link {
				code, err := h.access.NewLink(ctx, who, of, min(life, access.MaxLinkLife))
				return answer(secret{code}, err)
			}
			_, made, err := h.access.NewToken(ctx, who, of, life)
			return answer(secret{made}, err)
		},
	}
}

// Run prints the secret, which is shown this once.
func (c *tokenCommand) Run(ctx context.Context, p *process) error {
	asked := &tokenAsked{}
	asked.Body.Name, asked.Body.Role, asked.Body.Link = c.Name, c.Role, c.Link
	asked.Body.LifeSeconds = int64(c.Life / time.Second)
	out, err := call(ctx, p, c.Data, makeToken(), asked)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, out.Body.Secret)
	return err
}
