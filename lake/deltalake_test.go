//go:build real

package lake_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/lake"
	"drumbeat/objstore/fs"

	"github.com/google/go-cmp/cmp"
)

// readTables is what an independent reader makes of a lake: counts, exact
// sums, and the ends of times, as JSON.
const readTables = `
import json, math, sys
from decimal import Decimal
from deltalake import DeltaTable
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq

root, out = sys.argv[1], {}
for name in sys.argv[2:]:
    table = DeltaTable(root + "/" + name)
    rows = table.to_pyarrow_table()
    about = {"version": table.version(), "rows": rows.num_rows, "sums": {}, "nulls": {}, "least": {}, "greatest": {}, "types": {}}
    # Files that were compacted away are known as such, by their tombstones.
    about["removed"] = len(table.vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False))
    log = table.get_add_actions(flatten=True)
    about["log_rows"] = sum(pa.table(log).column("num_records").to_pylist())
    for field in rows.schema:
        column = rows.column(field.name)
        about["types"][field.name] = str(field.type)
        about["nulls"][field.name] = column.null_count
        if pa.types.is_decimal(field.type):
            about["sums"][field.name] = str(sum((v for v in column.to_pylist() if v is not None), Decimal(0)))
        elif pa.types.is_integer(field.type) or pa.types.is_boolean(field.type):
            about["sums"][field.name] = str(sum(int(v) for v in column.to_pylist() if v is not None))
        elif pa.types.is_floating(field.type):
            about["sums"][field.name] = math.fsum(v for v in column.to_pylist() if v is not None).hex()
        elif pa.types.is_timestamp(field.type):
            micros = pc.cast(column, pa.int64()).to_pylist()
            about["sums"][field.name] = str(sum(v - 1767225600000000 for v in micros if v is not None))
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            about["sums"][field.name] = str(sum(len(v.encode()) for v in column.to_pylist() if v is not None))
    # Statistics in the log must be true: pruning by them finds every row.
    files = [pq.ParquetFile(f.replace("file://", "")) for f in table.file_uris()]
    about["statistics"] = all(
        f.metadata.row_group(g).column(c).statistics is not None
        for f in files for g in range(f.num_row_groups) for c in range(f.metadata.num_columns))
    # By each column: one without bounds would be taken to hold nothing.
    dataset, about["pruned"], about["unpruned"] = table.to_pyarrow_dataset(), 0, 0
    for field in rows.schema:
        values = rows.column(field.name).drop_null()
        if len(values):
            middle = values[len(values) // 2]
            about["pruned"] += dataset.to_table(filter=pc.field(field.name) == middle).num_rows
            about["unpruned"] += pc.sum(pc.equal(values, middle)).as_py()
    out[name] = about
json.dump(out, sys.stdout)
`

// seen is what Python says of a table.
type seen struct {
	Version    int64             `json:"version"`
	Rows       int64             `json:"rows"`
	LogRows    int64             `json:"log_rows"`
	Removed    int               `json:"removed"`
	Sums       map[string]string `json:"sums"`
	Nulls      map[string]int64  `json:"nulls"`
	Types      map[string]string `json:"types"`
	Statistics bool              `json:"statistics"`
	Pruned     int64             `json:"pruned"`
	Unpruned   int64             `json:"unpruned"`
}

func TestPythonReadsBronzeSilverAndGold(t *testing.T) {
	python := os.Getenv("DRUMBEAT_PYTHON")
	if python == "" {
		t.Fatal("DRUMBEAT_PYTHON must name a Python that has deltalake and pyarrow")
	}
	folder := t.TempDir()
	store, err := fs.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l := open(t, store)
	s := newStream(11, 3)
	var items []drumbeat.Item
	var raw []drumbeat.Item
	gold, err := l.Gold(t.Context(), "machine_health", "abc", []string{"mean", "std"})
	if err != nil {
		t.Fatal(err)
	}
	for k := range 105 { // beyond a checkpoint that knows of removed files
		if k == 60 {
			if done := maintain(t, l, lake.MaintainOptions{}); done.Compacted < 4*60 {
				t.Fatalf("%+v", done)
			}
		}
		batch := s.batch(60)
		next := s.progress()
		items, raw = append(items, batch...), append(raw, withRaw(batch)...)
		if err := l.AppendBronze(t.Context(), withRaw(batch), nil, next); err != nil {
			t.Fatal(err)
		}
		if err := l.AppendSilver(t.Context(), lake.Silver{Items: batch}, next); err != nil {
			t.Fatal(err)
		}
		if err := gold.Append(t.Context(), vectors(batch, 2), next); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bronze", "silver/readings", "gold/machine_health/abc"} {
		if _, err := os.Stat(filepath.Join(folder, "laundry", name, "_delta_log", "_last_checkpoint")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bronze", "silver/readings", "gold/machine_health/abc"} {
		table, err := delta.Open(t.Context(), store, "laundry/"+name, delta.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(table.Snapshot().Files()); n > 60 {
			t.Errorf("%s has %d files", name, n)
		}
	}
	got := pythonReads(t, python, filepath.Join(folder, "laundry"),
		"bronze", "silver/readings", "silver/entries", "silver/machines", "gold/machine_health/abc")
	checkBronze(t, got["bronze"], raw)
	checkReadings(t, got["silver/readings"], items)
	checkGold(t, got["gold/machine_health/abc"], vectors(items, 2))
	if n := got["bronze"].Removed; n < 56 {
		t.Errorf("Python would vacuum %d files of bronze", n)
	}
	for name, about := range got {
		if about.LogRows != about.Rows || !about.Statistics {
			t.Errorf("%s: the log says %d rows of %d; statistics in every file: %t", name, about.LogRows, about.Rows, about.Statistics)
		}
	}
}

func pythonReads(t *testing.T, python, root string, names ...string) map[string]seen {
	t.Helper()
	command := exec.CommandContext(t.Context(), python, append([]string{"-c", readTables, root}, names...)...)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("run %s: %v\n%s", python, err, problems.String())
	}
	var got map[string]seen
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}

func checkBronze(t *testing.T, got seen, raw []drumbeat.Item) {
	t.Helper()
	var offsets, arrivals, payload, redrives int64
	for i := range raw {
		offsets += raw[i].Position.Offset
		arrivals += int64(raw[i].ArrivalTime - start)
		payload += int64(len(raw[i].Raw))
		if raw[i].RedriveOf == nil {
			redrives++
		}
	}
	want := map[string]string{
		"offset": strconv.FormatInt(offsets, 10), "arrival_time": strconv.FormatInt(arrivals, 10), "payload": strconv.FormatInt(payload, 10),
	}
	expect(t, "bronze", got, int64(len(raw)), want, map[string]int64{"redrive_of": redrives, "payload": 0}, map[string]string{
		"arrival_time": "timestamp[us, tz=UTC]", "payload": "string", "offset": "int64", "epoch": "int32",
	})
}

func checkReadings(t *testing.T, got seen, items []drumbeat.Item) {
	t.Helper()
	var rows, nulls, flags, events int64
	sums := make([]int64, 6)
	for i := range items {
		if items[i].Kind != drumbeat.KindReading {
			continue
		}
		rows++
		events += int64(items[i].EventTime - start)
		for k, v := range items[i].Values {
			if v != drumbeat.Missing {
				sums[k] += v
			} else if k == 1 {
				nulls++
			}
		}
		flags += int64(items[i].Flags[2])
	}
	want := map[string]string{
		"temperature_c": decimal(sums[0], 2), "vibration_hz": decimal(sums[1], 3), "error_code_count": decimal(sums[5], 0),
		"pressure_bar_flags": strconv.FormatInt(flags, 10), "event_time": strconv.FormatInt(events, 10),
	}
	expect(t, "readings", got, rows, want, map[string]int64{"vibration_hz": nulls, "machine": 0}, map[string]string{
		"vibration_hz": "decimal128(18, 3)", "error_code_count": "decimal128(18, 0)", "event_time": "timestamp[us, tz=UTC]",
	})
	if got.Pruned != got.Unpruned || got.Pruned == 0 {
		t.Errorf("filters find %d rows with statistics and %d without", got.Pruned, got.Unpruned)
	}
}

func decimal(v int64, scale int) string {
	if scale == 0 {
		return strconv.FormatInt(v, 10)
	}
	text := fmt.Sprintf("%0*d", scale+1, v)
	return text[:len(text)-scale] + "." + text[len(text)-scale:]
}

func checkGold(t *testing.T, got seen, want []drumbeat.Vector) {
	t.Helper()
	sum := new(big.Float).SetPrec(2000) // exactly, as Python's fsum
	var nulls, running int64
	for i := range want {
		if v := want[i].Values[1]; math.IsNaN(v) {
			nulls++
		} else {
			sum.Add(sum, big.NewFloat(v))
		}
		if want[i].Running {
			running++
		}
	}
	total, _ := sum.Float64()
	expect(t, "gold", got, int64(len(want)),
		map[string]string{"std": hex(total), "running": strconv.FormatInt(running, 10)}, map[string]int64{"std": nulls},
		map[string]string{"std": "double", "running": "bool", "as_of": "timestamp[us, tz=UTC]", "made_by": "string"})
}

// hex writes a double as Python's float.hex does.
func hex(x float64) string {
	fraction, exponent := math.Frexp(x)
	mantissa := math.Float64bits(fraction) & (1<<52 - 1)
	return fmt.Sprintf("0x1.%013xp%+d", mantissa, exponent-1)
}

func expect(t *testing.T, what string, got seen, rows int64, sums map[string]string, nulls map[string]int64, types map[string]string) {
	t.Helper()
	if got.Rows != rows {
		t.Errorf("%s: Python reads %d rows, want %d", what, got.Rows, rows)
	}
	for name, want := range sums {
		if got.Sums[name] != want {
			t.Errorf("%s: the sum of %s is %s, want %s", what, name, got.Sums[name], want)
		}
	}
	for name, want := range nulls {
		if got.Nulls[name] != want {
			t.Errorf("%s: %s has %d nulls, want %d", what, name, got.Nulls[name], want)
		}
	}
	for name, want := range types {
		if d := cmp.Diff(want, got.Types[name]); d != "" {
			t.Errorf("%s: type of %s (-want +got):\n%s", what, name, d)
		}
	}
}
