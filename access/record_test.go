package access_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/access"

	"github.com/google/go-cmp/cmp"
)

// everything reads the database's files.
func everything(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all["access.db"+suffix] = string(content)
	}
	return all
}

func TestTheRecordKeepsWhoDidWhatInOrder(t *testing.T) {
	a, c, _ := fresh(t)
	first := access.Act{By: ana, What: "finding recorded", Subject: "alert-1", Detail: "repaired"}
	second := access.Act{By: system, What: "champion set", Subject: "3"}
	for _, act := range []access.Act{first, second} {
		if err := a.Record(t.Context(), act); err != nil {
			t.Fatal(err)
		}
		c.pass(time.Second)
	}
	list, err := a.Acts(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []access.Act
	for _, e := range list {
		got = append(got, e.Act)
	}
	if diff := cmp.Diff([]access.Act{first, second}, got); diff != "" {
		t.Errorf("acts (-want +got):\n%s", diff)
	}
	if !list[1].At.Equal(list[0].At.Add(time.Second)) {
		t.Errorf("times %s, %s", list[0].At, list[1].At)
	}
	rest, err := a.Acts(t.Context(), 1, 10)
	if err != nil || len(rest) != 1 || rest[0].Seq != 2 {
		t.Errorf("after 1: %v, %v", rest, err)
	}
	head, err := a.Verify(t.Context())
	if err != nil || head != a.Head() {
		t.Errorf("verify: %s, %v; want %s", head, err, a.Head())
	}
}

func TestTheRecordCannotBeChangedThroughSQL(t *testing.T) {
	a, _, path := fresh(t)
	if err := a.Record(t.Context(), access.Act{By: ana, What: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`UPDATE acts SET who = 'Bob'`, `DELETE FROM acts`} {
		if err := tryExecute(t, path, statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v, want a refusal", statement, err)
		}
	}
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	const free = `DROP TRIGGER acts_are_never_changed; DROP TRIGGER acts_are_never_deleted; `
	for name, statement := range map[string]string{
		"a changed name":            `UPDATE acts SET who = 'Bob' WHERE seq = 2`,
		"a changed time":            `UPDATE acts SET at = at + 1 WHERE seq = 2`,
		"text moved between fields": `UPDATE acts SET what = what || substr(subject, 1, 1), subject = substr(subject, 2) WHERE seq = 2`,
		"an entry taken out":        `DELETE FROM acts WHERE seq = 2`,
		"an entry put in":           `INSERT INTO acts SELECT 4, at, who, role, what, subject, detail, hash FROM acts WHERE seq = 3`,
		"two entries exchanged":     `UPDATE acts SET seq = CASE seq WHEN 1 THEN -2 ELSE -1 END WHERE seq < 3; UPDATE acts SET seq = -seq WHERE seq < 0`,
	} {
		t.Run(name, func(t *testing.T) {
			a, c, path := fresh(t)
			for _, subject := range []string{"one", "two", "three"} {
				if err := a.Record(t.Context(), access.Act{By: ana, What: "did", Subject: subject}); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			execute(t, path, free+statement)
			_, err := open(t, path, c).Verify(t.Context())
			if !errors.Is(err, drumbeat.ErrInvalid) {
				t.Errorf("verify: %v, want ErrInvalid", err)
			}
		})
	}
}

func TestACutOffEndShowsAgainstAKeptHead(t *testing.T) {
	a, c, path := fresh(t)
	for range 3 {
		if err := a.Record(t.Context(), access.Act{By: ana, What: "did"}); err != nil {
			t.Fatal(err)
		}
	}
	kept := a.Head()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, `DROP TRIGGER acts_are_never_deleted; DELETE FROM acts WHERE seq = 3`)
	head, err := open(t, path, c).Verify(t.Context())
	if err != nil || head == kept || head.Seq != 2 {
		t.Errorf("verify: %s, %v; want entry 2, not the kept %s", head, err, kept)
	}
}

func TestAnActTooLongIsRefusedAndLeavesNoTrace(t *testing.T) {
	a, _, _ := fresh(t)
	err := a.Record(t.Context(), access.Act{By: ana, What: "did", Detail: strings.Repeat("x", 4097)})
	if !errors.Is(err, drumbeat.ErrLimit) {
		t.Errorf("record: %v, want ErrLimit", err)
	}
	if head := a.Head(); head.Seq != 0 {
		t.Errorf("head %s, want none", head)
	}
}
