package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"drumbeat"
	"drumbeat/access"
)

// adapter lets huma register its operations on an access.Router: each under
// the least role that its metadata names.
type adapter struct{ router *access.Router }

// leastRole is the metadata key of an operation's least role. An operation
// without one is closed to everybody.
const leastRole = "least role"

// Handle serves an operation.
func (ad adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	least, _ := op.Metadata[leastRole].(access.Role)
	ad.router.Handle(op.Method+" "+op.Path, least, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(humago.NewContext(op, r, w))
	}))
}

// ServeHTTP serves a request.
func (ad adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { ad.router.ServeHTTP(w, r) }

// openAPI configures huma: no page and no schema links that would load from
// elsewhere, and our own form of errors.
func (a *API) openAPI() huma.Config {
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schemas.RegisterTypeAlias(reflect.TypeFor[drumbeat.Time](), reflect.TypeFor[time.Time]())
	codec := huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Drumbeat", Version: a.opt.Version,
				Description: "How likely is a failure of this machine, and why. Errors are problem documents " +
					"(RFC 9457) with the field next: what to do about it.",
			},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", Description: "A token that an engineer issued."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": codec, "json": codec},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{asProblem},

		RejectUnknownQueryParameters: true,
	}
}

// schemaName names a type's schema: with its package, for rooms share words,
// but for the words of the root package and of this one.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	room := path.Base(t.PkgPath())
	if t.Name() == "" || room == "." || room == "drumbeat" || room == "serve" {
		return name
	}
	return strings.ToUpper(room[:1]) + room[1:] + name
}

// marshal writes JSON without escaping what only HTML must escape.
func marshal(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// Add adds an operation for people of role least and above, before Mount: the
// only way in, for this room's operations and for those of other rooms. It
// stands in the OpenAPI document with its role; its requests are measured,
// counted against their sender's rate, and cancelled after timeout (0 is ten
// seconds). An error that handle returns is told as an *access.Problem if it is
// one, by its kind if it has one, and else as a fault of ours. The operation's
// own MaxBodyBytes, BodyReadTimeout, Errors and Middlewares hold where it has
// them; a body may have 64 KiB otherwise.
//
// An operation of a fleet has an input that embeds OfFleet.
func Add[I, O any](
	a *API, least access.Role, op huma.Operation, timeout time.Duration, handle func(context.Context, *I) (*O, error),
) {
	if a.mounted {
		panic("serve: operation " + op.OperationID + " was added after Mount: it would not be served")
	}
	a.pending = append(a.pending, func(api huma.API) {
		huma.Register(api, a.ruled(least, op), func(ctx context.Context, in *I) (*O, error) {
			if err := a.admit(ctx); err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(timeout, requestTime))
			defer cancel()
			out, err := handle(ctx, in)
			if err != nil {
				return nil, a.problem(ctx, op.OperationID, err)
			}
			return out, nil
		})
	})
}

// ruled puts an operation under the rules that hold for all.
func (a *API) ruled(least access.Role, op huma.Operation) huma.Operation {
	metadata := maps.Clone(op.Metadata)
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata[leastRole] = least
	op.Metadata = metadata
	op.MaxBodyBytes = cmp.Or(op.MaxBodyBytes, maxBody)
	op.BodyReadTimeout = cmp.Or(op.BodyReadTimeout, requestTime)
	op.Errors = slices.Concat([]int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
	}, op.Errors)
	if least > access.Anyone {
		op.Security = []map[string][]string{{"bearer": {}}}
		op.Description = strings.TrimSpace(op.Description + "\n\nLeast role: " + least.String() + ".")
	}
	op.Middlewares = append(huma.Middlewares{a.measured}, op.Middlewares...)
	return op
}

// admit counts a request against its sender's rate.
func (a *API) admit(ctx context.Context) error {
	person := access.PersonOf(ctx)
	if a.requests.Take(person.Name) {
		return nil
	}
	return &access.Problem{
		Status: http.StatusTooManyRequests, Title: "too many requests",
		Detail: person.Name + " sends more than " + strconv.Itoa(a.opt.Rate) + " requests a second",
		Next:   "send fewer, or ask for many machines in one request", RetryAfter: time.Second,
	}
}

// measured counts and times an operation.
func (a *API) measured(ctx huma.Context, next func(huma.Context)) {
	start := a.opt.Now()
	next(ctx)
	a.metrics.latency.WithLabelValues(a.label(ctx), ctx.Operation().OperationID, strconv.Itoa(ctx.Status())).
		Observe(a.opt.Now().Sub(start).Seconds())
}

// label is the fleet that a request is counted under: "" where it is of none,
// or of one that does not exist.
func (a *API) label(ctx huma.Context) string {
	ofFleet := func(p *huma.Param) bool { return p.In == "query" && p.Name == "fleet" }
	if !slices.ContainsFunc(ctx.Operation().Parameters, ofFleet) {
		return ""
	}
	d, err := a.desk(OfFleet{Fleet: drumbeat.FleetName(ctx.Query("fleet"))})
	if err != nil {
		return ""
	}
	return string(d.Fleet.Name)
}

// problem turns an error of a room into what its caller is told.
func (a *API) problem(ctx context.Context, operation string, err error) error {
	if problem, ok := errors.AsType[*access.Problem](err); ok {
		return problem
	}
	if unknown, ok := errors.AsType[*NotKnown](err); ok {
		return noSuchMachine(unknown)
	}
	for i := range kinds {
		if errors.Is(err, kinds[i].kind) {
			p := kinds[i].told
			p.Detail = err.Error()
			return &p
		}
	}
	a.opt.Log.ErrorContext(ctx, "request failed", "operation", operation, "error", err)
	return &access.Problem{
		Status: http.StatusInternalServerError, Title: "this should not have happened",
		Detail: "the fault is ours and is in the log", Next: "try again; if it stays, tell the engineer",
	}
}

// kinds are the kinds of error that a caller is told about, and how.
//
//nolint:gochecknoglobals // a constant table
var kinds = [...]struct {
	kind error
	told access.Problem
}{
	{ErrNoModel, access.Problem{
		Status: http.StatusServiceUnavailable, Title: "no model in service",
		Next: "run drumbeat train", RetryAfter: 5 * time.Second,
	}},
	{drumbeat.ErrNotFound, access.Problem{
		Status: http.StatusNotFound, Title: "not found", Next: "check the id",
	}},
	{drumbeat.ErrInvalid, access.Problem{
		Status: http.StatusUnprocessableEntity, Title: "not accepted", Next: "correct it and send it again",
	}},
	{drumbeat.ErrConflict, access.Problem{
		Status: http.StatusConflict, Title: "somebody was first", Next: "read it again, then decide",
	}},
	{drumbeat.ErrNewer, access.Problem{
		Status: http.StatusConflict, Title: "written by a newer version", Next: "update this program",
	}},
	{drumbeat.ErrLimit, access.Problem{
		Status: http.StatusRequestEntityTooLarge, Title: "over a limit", Next: "send less at once",
	}},
	{context.DeadlineExceeded, access.Problem{
		Status: http.StatusServiceUnavailable, Title: "no answer in time",
		Next: "try again: what was done is not done twice", RetryAfter: time.Second,
	}},
}

// noSuchMachine tells of a machine that does not exist.
func noSuchMachine(n *NotKnown) *access.Problem {
	p := &access.Problem{
		Status: http.StatusNotFound, Title: "no such machine",
		Detail: "machine " + strconv.Quote(string(n.Machine)) + " has never been announced",
		Next:   "GET /v1/machines lists those that exist",
	}
	if len(n.Nearest) > 0 {
		p.Next = "did you mean " + joined(n.Nearest) + "? " + p.Next
	}
	return p
}

// asProblem gives the errors that huma makes itself our own form.
func asProblem(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &access.Problem{Status: model.Status, Title: strings.ToLower(model.Title), Detail: model.Detail}
	for _, e := range model.Errors {
		p.Errors = append(p.Errors, access.Fault{Location: e.Location, Message: e.Message})
	}
	p.Next = "GET /openapi.json says what this asks for"
	return p, nil
}
