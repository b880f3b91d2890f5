//go:build real

package delta_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"drumbeat/delta"
	"drumbeat/objstore/fs"

	"github.com/google/go-cmp/cmp"
)

// judge is another engine in a process of its own.
type judge struct {
	t       *testing.T
	name    string
	in      io.Writer
	answers *bufio.Scanner
}

// startJudge starts judges/judge.py with a Python that an environment variable
// names.
func startJudge(t *testing.T, variable, name string, args ...string) *judge {
	t.Helper()
	python := os.Getenv(variable)
	if python == "" {
		t.Fatalf("%s names no Python: run this by `make test`, which installs it", variable)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), python, append([]string{"judges/judge.py", name}, args...)...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "SPARK_LOCAL_IP=127.0.0.1", "PYSPARK_PYTHON="+python)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends by that
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("%s: %v\n%s", name, err, said.String())
		}
	})
	answers := bufio.NewScanner(out)
	answers.Buffer(nil, 64<<20)
	return &judge{t: t, name: name, in: in, answers: answers}
}

// ask sends a task and returns the answer.
func (j *judge) ask(task map[string]any) (columns []string, rows [][]string) {
	j.t.Helper()
	text, err := json.Marshal(task)
	if err != nil {
		j.t.Fatal(err)
	}
	if _, err := j.in.Write(append(text, '\n')); err != nil {
		j.t.Fatalf("%s: %v", j.name, err)
	}
	if !j.answers.Scan() {
		j.t.Fatalf("%s ended: %v", j.name, j.answers.Err())
	}
	var answer struct {
		Columns []string   `json:"columns"`
		Rows    [][]string `json:"rows"`
		Error   string     `json:"error"`
	}
	if err := json.Unmarshal(j.answers.Bytes(), &answer); err != nil {
		j.t.Fatalf("%s said %.200q: %v", j.name, j.answers.Text(), err)
	}
	if answer.Error != "" {
		j.t.Fatalf("%s: %v: %s", j.name, task, answer.Error)
	}
	return answer.Columns, answer.Rows
}

func (j *judge) sql(statements string) { j.t.Helper(); j.ask(map[string]any{"sql": statements}) }

// reads holds what the judge reads of a table to what this package does.
func (j *judge) reads(when, folder string, s *delta.Snapshot, version any) {
	j.t.Helper()
	columns, rows := j.ask(map[string]any{"read": folder, "version": version})
	names := s.Schema().Names()
	// Some engines put the columns of partitions last.
	order := make([]int, len(names))
	for i, name := range names {
		if order[i] = slices.Index(columns, name); order[i] < 0 || len(columns) != len(names) {
			j.t.Fatalf("%s, %s: columns %v, want %v", j.name, when, columns, names)
		}
	}
	got := make([]string, len(rows))
	for i, row := range rows {
		var cells []string
		for k, at := range order {
			cells = append(cells, names[k]+"="+row[at])
		}
		got[i] = strings.Join(cells, " ")
	}
	slices.Sort(got)
	if diff := cmp.Diff(rowTexts(j.t, s), got); diff != "" {
		j.t.Errorf("%s, %s (-we read +it reads):\n%.3000s", j.name, when, diff)
	}
}

// rowTexts writes the rows of a snapshot as the judges do.
func rowTexts(t *testing.T, s *delta.Snapshot) []string {
	t.Helper()
	all := collect(t, s, delta.ScanOptions{})
	out := make([]string, all.N)
	for row := range out {
		var cells []string
		for i, f := range s.Schema() {
			cells = append(cells, f.Name+"="+cellText(f, &all.Columns[i], row))
		}
		out[row] = strings.Join(cells, " ")
	}
	slices.Sort(out)
	return out
}

func cellText(f delta.Field, c *delta.Column, row int) string {
	text, known := f.Text(c, row)
	switch {
	case !known:
		return "null"
	case f.Type == delta.Timestamp || f.Type == delta.Date || f.Type == delta.Bool:
		return strconv.FormatInt(c.Ints[row], 10)
	case f.Type == delta.Float64:
		return pythonHex(c.Floats[row])
	case f.Type == delta.Binary:
		return hex.EncodeToString(c.Bytes[row])
	}
	return text
}

// pythonHex writes a double as Python's float.hex does.
func pythonHex(v float64) string {
	if v == 0 {
		return "0x0.0p+0"
	}
	text := strconv.FormatFloat(v, 'x', 13, 64)
	mantissa, exponent, _ := strings.Cut(text, "p")
	n, _ := strconv.Atoi(exponent)
	return fmt.Sprintf("%sp%+d", mantissa, n)
}

// ours makes the tables that others are to read: every type with and without
// nulls, partitions of odd values, after compaction, from a checkpoint alone,
// with a column that was added.
func ours(t *testing.T, root string) map[string]*delta.Table {
	t.Helper()
	store, err := fs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	create := func(name string, schema delta.Schema) *delta.Table {
		t.Helper()
		table, err := delta.Create(t.Context(), store, name, schema, delta.Options{CheckpointEvery: 10, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	types, parts := create("types", columns), create("parts", byDay)
	for k := range 12 {
		appendRows(t, types, rows(k*40, 40))
		appendRows(t, parts, dayRows(k*40, 40))
	}
	create("widened", columns[:3:3])
	narrow := &delta.Batch{N: 30, Columns: rows(0, 30).Columns[:3]}
	appendRows(t, create("widened", columns[:3:3]), narrow)
	widened := create("widened", append(slices.Clone(columns[:3]), delta.Field{Name: "late", Type: delta.Decimal, Precision: 18, Scale: 4, Nullable: true}))
	late := rows(30, 10).Columns[:4:4]
	late[3] = delta.Column{Ints: []int64{-1, 2, 3, 4, 5, 6, 7, 8, 9, 123_456_789_012_345_678}}
	appendRows(t, widened, &delta.Batch{N: 10, Columns: late})
	compacted := create("compacted", columns)
	for k := range 20 {
		appendRows(t, compacted, rows(k*10, 10))
	}
	compact(t, compacted)
	if err := compacted.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(2 * delta.MinKeep) // files are as old as they are
	now = later
	if n, err := compacted.CleanLog(t.Context(), delta.MinKeep); err != nil || n == 0 {
		t.Fatalf("%d commits cleaned away: %v", n, err)
	}
	return map[string]*delta.Table{"types": types, "parts": parts, "widened": widened, "compacted": compacted}
}

func TestOtherEnginesReadOurTables(t *testing.T) {
	root := t.TempDir()
	tables := ours(t, root)
	for _, engine := range []string{"deltalake", "duckdb"} {
		j := startJudge(t, "DRUMBEAT_PYTHON", engine)
		for name, table := range tables {
			j.reads(name, filepath.Join(root, name), table.Snapshot(), nil)
		}
		then, err := tables["types"].At(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		j.reads("types at version 5", filepath.Join(root, "types"), then, 5)
	}
}

func TestSparkReadsAndWritesOurTablesAndWeReadItsOwn(t *testing.T) {
	spark := os.Getenv("DRUMBEAT_SPARK")
	if spark == "" {
		t.Fatal("DRUMBEAT_SPARK names no folder of Delta's jars: run this by `make test`, which installs them")
	}
	root := t.TempDir()
	tables := ours(t, root)
	j := startJudge(t, "DRUMBEAT_SPARK_PYTHON", "spark", spark)
	for name, table := range tables {
		j.reads(name, filepath.Join(root, name), table.Snapshot(), nil)
	}
	then, err := tables["parts"].At(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	j.reads("parts at version 7", filepath.Join(root, "parts"), then, 7)

	// Spark appends to ours, optimises and deletes in them; ours goes on.
	for _, name := range []string{"types", "parts"} {
		j.sql(strings.ReplaceAll(sparkWrites[name], "@", "delta.`"+filepath.Join(root, name)+"`"))
		before := tables[name].Snapshot().Version()
		if _, err := tables[name].Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := tables[name].Snapshot().Version(); now < before+3 {
			t.Errorf("%s: version %d after %d: Spark did not write", name, now, before)
		}
		j.reads(name+" after Spark wrote", filepath.Join(root, name), tables[name].Snapshot(), nil)
		if name == "types" {
			appendRows(t, tables[name], rows(10_000, 25))
		} else {
			appendRows(t, tables[name], dayRows(10_000, 25))
		}
		compact(t, tables[name])
		j.reads(name+" after both wrote", filepath.Join(root, name), tables[name].Snapshot(), nil)
	}
	sparksOwn(t, j, root)
}

// sparkWrites are statements on a table of ours, whose name @ is.
var sparkWrites = map[string]string{
	"types": `INSERT INTO @ SELECT offset + 5000, index, machine, at, value, small, mean, score, running, payload, note, flag, level, day, month FROM @ WHERE offset < 50;
OPTIMIZE @;
DELETE FROM @ WHERE offset % 7 = 3`,
	"parts": `INSERT INTO @ SELECT day, site, offset + 5000, hot, note, at, rate, seen FROM @ WHERE offset < 60;
OPTIMIZE @;
DELETE FROM @ WHERE day = DATE'2026-02-17' OR offset = 5004`,
}

// sparksOwn lets Spark make tables by itself, with checkpoints, and reads them.
func sparksOwn(t *testing.T, j *judge, root string) {
	t.Helper()
	folder := filepath.Join(root, "sparks")
	j.sql(strings.ReplaceAll(`CREATE TABLE @ (day DATE, site STRING, n INT, big BIGINT, x DOUBLE, f FLOAT, ok BOOLEAN, s STRING, ts TIMESTAMP, d5 DECIMAL(5,2), d18 DECIMAL(18,3), raw BINARY, seen DATE) USING delta PARTITIONED BY (site, day) TBLPROPERTIES ('delta.checkpointInterval' = '3');
INSERT INTO @ VALUES (DATE'2026-03-02', 'a/b c%25=ü', 1, 2, 0.1, CAST(1.5 AS FLOAT), true, 'x', TIMESTAMP'2026-03-02 01:02:03.456789', 1.25, 123456789012345.678, X'00ff', DATE'1969-12-31'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO @ SELECT DATE'2026-03-02' + CAST(id % 4 AS INT), concat('site ', id % 3), CAST(id AS INT), id * 1000000007, id / 7, CAST(id AS FLOAT) / 4, id % 2 = 0, repeat('é', CAST(id % 40 AS INT)), timestamp_micros(1767225600000000 + id * 1500001), CAST(id % 100 AS DECIMAL(5,2)), CAST(-id AS DECIMAL(18,3)) / 8, CAST(CAST(id AS STRING) AS BINARY), NULL FROM range(500);
UPDATE @ SET s = 'changed' WHERE n % 50 = 1;
DELETE FROM @ WHERE n % 50 = 2;
OPTIMIZE @;
INSERT INTO @ SELECT * FROM @ WHERE n < 20;
ALTER TABLE @ ADD COLUMNS (added STRING);
INSERT INTO @ SELECT day, site, n, big, x, f, ok, s, ts, d5, d18, raw, seen, 'new' FROM @ WHERE n = 7`, "@", "delta.`"+folder+"`"))
	checkpoints, err := filepath.Glob(filepath.Join(folder, "_delta_log", "*.checkpoint.parquet"))
	if err != nil || len(checkpoints) == 0 {
		t.Fatalf("Spark wrote no checkpoint: %v", err)
	}
	store, err := fs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	check := func(when string) {
		t.Helper()
		table, err := delta.Open(t.Context(), store, "sparks", delta.Options{})
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if s := table.Snapshot(); len(s.Schema()) != 14 || s.Rows() < 490 {
			t.Errorf("%s: %d columns, %d rows", when, len(s.Schema()), s.Rows())
		}
		j.reads("its own table, "+when, folder, table.Snapshot(), nil)
		if verified, err := table.Verify(t.Context()); err != nil || len(verified.Damages) > 0 {
			t.Errorf("%s: %+v, %v", when, verified, err)
		}
	}
	check("from its newest checkpoint")
	for _, c := range checkpoints {
		if err := os.Remove(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(folder, "_delta_log", "_last_checkpoint")); err != nil {
		t.Fatal(err)
	}
	check("from its commits")
}
