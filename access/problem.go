package access

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Problem is an error as the API answers it (RFC 9457): what is wrong, why,
// and what to do next.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title" doc:"What is wrong"`
	Detail string `json:"detail,omitempty" doc:"Why"`
	Next   string `json:"next,omitempty" doc:"What to do next"`
	// Errors are the single faults of a request that has several.
	Errors []Fault `json:"errors,omitempty"`
	// RetryAfter is how long to wait before another try, 0 for no hint.
	RetryAfter time.Duration `json:"-"`
}

// Fault is one fault of a request.
type Fault struct {
	Location string `json:"location,omitempty" doc:"Where it is, such as body.machine"`
	Message  string `json:"message"`
}

// Error returns the title and the detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is that of RFC 9457.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// Write answers a request with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", problemType)
	maps.Copy(w.Header(), p.GetHeaders())
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a client that went away is no fault of ours
}

// GetHeaders returns the headers that go with the problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	return h
}
