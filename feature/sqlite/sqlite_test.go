package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/feature/onlinetest"
	"drumbeat/feature/sqlite"
)

// name has what a URI would take for something else.
const name = "online? 100%.sqlite"

func open(t *testing.T, dir string) feature.Online {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheSQLiteStoreKeepsTheContract(t *testing.T) {
	onlinetest.Run(t, func(t *testing.T) feature.Online { return open(t, t.TempDir()) })
	onlinetest.RunDurable(t, open, func(t *testing.T, dir string) string {
		// What a killed process leaves is the files as they are.
		left := t.TempDir()
		if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		return left
	})
}

// TestASmallCacheKeepsTheContract reads most records from the file.
func TestASmallCacheKeepsTheContract(t *testing.T) {
	small := func(t *testing.T, dir string) feature.Online {
		t.Helper()
		s, err := sqlite.OpenCached(t.Context(), filepath.Join(dir, name), 1000)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	onlinetest.Run(t, func(t *testing.T) feature.Online { return small(t, t.TempDir()) })
}

func TestANewerFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, dir, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	if _, err := sqlite.Open(t.Context(), filepath.Join(dir, name)); !errors.Is(err, drumbeat.ErrNewer) {
		t.Errorf("got %v, want %v", err, drumbeat.ErrNewer)
	}
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sqlite")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database at all ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestADamagedOrNewerRecordIsAnErrorThatNamesTheMachine(t *testing.T) {
	for _, test := range []struct {
		damage string
		kind   error
	}{
		{`UPDATE records SET vector = x'01020304'`, drumbeat.ErrInvalid},
		{`UPDATE records SET vector = x''`, drumbeat.ErrInvalid},
		{`UPDATE records SET vector = x'7f' || vector`, drumbeat.ErrNewer},
	} {
		dir := t.TempDir()
		s := open(t, dir)
		r := feature.Record{Vector: drumbeat.Vector{Machine: "M-1", Values: []float64{1}}}
		if _, err := s.Write(t.Context(), "h", []feature.Record{r}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		execute(t, dir, test.damage)
		s = open(t, dir)
		_, err := s.Read(t.Context(), "h", []drumbeat.MachineID{"M-1"}, false)
		if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), "M-1") {
			t.Errorf("%s: got %v, want %v", test.damage, err, test.kind)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func execute(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(strings.ReplaceAll(filepath.Join(dir, name), "%", "%25"), "?", "%3F"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func records(machines int, offset int64) ([]feature.Record, []drumbeat.MachineID) {
	out, ids := make([]feature.Record, machines), make([]drumbeat.MachineID, machines)
	for m := range out {
		ids[m] = drumbeat.MachineID(fmt.Sprintf("W-%03d", m))
		out[m] = feature.Record{
			Vector: drumbeat.Vector{
				Machine: ids[m], Position: drumbeat.Position{Offset: offset}, Values: make([]float64, 40),
			},
			Advance: make([]byte, 5000),
		}
	}
	return out, ids
}

func BenchmarkWrite100(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), name))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := 0; b.Loop(); i++ {
		batch, _ := records(100, int64(i))
		if _, err := s.Write(b.Context(), "h", batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadHot(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), name))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	batch, ids := records(100, 1)
	if _, err := s.Write(b.Context(), "h", batch); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := s.Read(b.Context(), "h", ids[i%100:i%100+1], true); err != nil {
			b.Fatal(err)
		}
	}
}
