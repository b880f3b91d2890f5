//go:build real

package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site speaks to a running drumbeat as a program does.
type site struct {
	address, token string
}

func siteOf(t *testing.T, dir string) *site {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "control.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := decode[struct {
		Address string `json:"address"`
		Token   string `json:"token"`
	}](t, text)
	return &site{address: "http://" + c.Address, token: c.Token}
}

// post posts a body and returns the status and the answer.
func (s *site) post(t *testing.T, path, kind, encoding string, body []byte) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", kind)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// rowsOf asks until the lake holds as many rows of a table, at most a while.
func rowsOf(t *testing.T, dir, table string, want int64) {
	t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	got := int64(-1)
	for range 150 {
		got = decode[struct {
			Rows map[string]int64 `json:"rows"`
		}](t, drumbeat(t, "lake", "--data", dir, "--json")).Rows[table]
		if got == want {
			return
		}
		<-ticker.C
	}
	t.Errorf("%s has %d rows, want %d", table, got, want)
}

func TestWhatIsPostedComesToSilverOnceAndDeadLettersAreRedriven(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	drumbeat(t, "quickstart", "--once", "--until", "refine", "--machines", "5", "--days", "35", "--dir", dir)
	before := decode[struct {
		Rows map[string]int64 `json:"rows"`
	}](t, drumbeat(t, "lake", "--data", dir, "--json")).Rows
	stop := run(t, dir)
	s := siteOf(t, dir)

	// X-006 sent readings, and nobody had declared it.
	letters := decode[struct {
		Matched int64 `json:"matched"`
	}](t, drumbeat(t, "deadletters", "list", "--data", dir, "--json", "--since", lately, "--reason", `"X-006"`))
	if letters.Matched == 0 {
		t.Fatal("there is no dead letter of X-006")
	}
	for _, test := range []struct {
		name, path, kind, encoding, body string
		status                           int
		says                             string
	}{
		{"an undeclared machine", "/v1/readings", "application/json", "", reading("X-006", 0), 422, "was not declared"},
		{"its declaration", "/v1/machines", "application/json", "", `{"machine_id":"X-006","location":"north"}`, 202, `"items":1`},
		{"an array", "/v1/readings", "application/json", "", "[" + reading("X-006", 1) + "," + reading("W-001", 1) + "]", 202, `"items":2`},
		{"the same again", "/v1/readings", "application/json", "", "[" + reading("X-006", 1) + "," + reading("W-001", 1) + "]", 202, `"items":2`},
		{"lines, packed", "/v1/readings", "application/x-ndjson", "gzip", reading("W-002", 1) + "\n" + reading("W-002", 2), 202, `"items":2`},
		{"a fault in line 2", "/v1/readings", "application/x-ndjson", "", reading("W-003", 1) + "\n{\"machine_id\":7}\n", 422, `"line 2"`},
		{"a failure", "/v1/log?log=failure", "application/json", "", `{"machine_id":"W-001","id":"F-1","failure_timestamp":"2026-04-05T00:00:00Z","failure_type":"bearing"}`, 202, `"items":1`},
		{"an unknown log", "/v1/log?log=gossip", "application/json", "", `{}`, 422, "failure or maintenance"},
		{"another form", "/v1/readings", "text/csv", "", "a,b", 415, "application/x-ndjson"},
	} {
		body := []byte(test.body)
		if test.encoding == "gzip" {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			_, _ = w.Write(body) // into memory
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			body = out.Bytes()
		}
		status, answer := s.post(t, test.path, test.kind, test.encoding, body)
		if status != test.status || !strings.Contains(answer, test.says) {
			t.Errorf("%s: %d %s, want %d and %s", test.name, status, answer, test.status, test.says)
		}
	}
	rowsOf(t, dir, "silver_entries", before["silver_entries"]+1)
	rowsOf(t, dir, "silver_machines", before["silver_machines"]+1)
	rowsOf(t, dir, "silver_readings", before["silver_readings"]+4)

	redriveTwice(t, dir, letters.Matched)
	stop()
	after := json.RawMessage(drumbeat(t, "lake", "--data", dir, "--json"))
	counts := decode[struct {
		Rows  map[string]int64 `json:"rows"`
		Aside map[string]int64 `json:"aside"`
	}](t, after)
	if counts.Rows["bronze"]-before["bronze"] != 8+letters.Matched {
		t.Errorf("bronze grew by %d, want %d posted and %d redriven", counts.Rows["bronze"]-before["bronze"], 8, letters.Matched)
	}
	if kept := counts.Rows["silver_readings"] - before["silver_readings"] - 4; kept < letters.Matched*9/10 {
		t.Errorf("of %d redriven readings %d were kept: %s", letters.Matched, kept, after)
	}
}

// lately is a day before the simulator's history ends: what is older than twice
// the allowed lateness before a machine's newest arrival nobody can tell from a
// duplicate any more, and is late.
const lately = "2026-04-05T00:00:00Z"

// reading is one of the last day of the simulator's history.
func reading(machine string, minute int) string {
	return fmt.Sprintf(`{"machine_id":"%s","timestamp":"2026-04-05T10:%02d:30.111Z","power_kw":%d.5,"temperature_c":40}`, machine, minute, minute)
}

// redriveTwice sends dead letters of a machine that is known by now again, and
// sees that each is sent once.
func redriveTwice(t *testing.T, dir string, letters int64) {
	t.Helper()
	for _, want := range []int64{letters, 0} {
		done := decode[struct {
			Sent     int64 `json:"sent"`
			Before   int64 `json:"redriven_before"`
			Ingested bool  `json:"ingested"`
		}](t, drumbeat(t, "deadletters", "redrive", "--data", dir, "--json", "--limit", "1000", "--since", lately, "--reason", `"X-006"`))
		if done.Sent != want || done.Before != letters-want || want > 0 && !done.Ingested {
			t.Errorf("redriven: %+v, want %d sent", done, want)
		}
	}
}
