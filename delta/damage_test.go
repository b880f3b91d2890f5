package delta_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore/memory"

	"github.com/google/go-cmp/cmp"
)

const (
	firstCommit  = "t/_delta_log/00000000000000000000.json"
	secondCommit = "t/_delta_log/00000000000000000001.json"

	speaks  = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`
	oneLong = `{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[` +
		`{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{}}}`
)

// put replaces a blob.
func put(t testing.TB, store delta.Store, key string, body []byte) {
	t.Helper()
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, store delta.Store, key string) []byte {
	t.Helper()
	body, err := store.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestATableThatWeMustNotReadSaysWhy(t *testing.T) {
	for _, test := range []struct {
		name, commit string
		kind         error
		words        []string
	}{
		{
			"a newer reader", `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors","columnMapping"]}}`,
			drumbeat.ErrNewer,
			[]string{"reader version 3", "deletionVectors, columnMapping", "newer program"},
		},
		{"column mapping", `{"protocol":{"minReaderVersion":2,"minWriterVersion":5}}`, drumbeat.ErrNewer, []string{"reader version 2"}},
		{
			"a deletion vector", speaks + "\n" + oneLong + "\n" + `{"add":{"path":"a.parquet","size":1,"deletionVector":{"storageType":"u"}}}`,
			drumbeat.ErrNewer,
			[]string{"a.parquet", "deletion vector"},
		},
		{
			"partitions", speaks + "\n" + strings.Replace(oneLong, `"partitionColumns":[]`, `"partitionColumns":["day"]`, 1),
			drumbeat.ErrInvalid,
			[]string{"partitioned by day"},
		},
		{"another format", speaks + "\n" + strings.Replace(oneLong, `"parquet"`, `"orc"`, 1), drumbeat.ErrInvalid, []string{"orc"}},
		{
			"a nested column", speaks + "\n" + strings.Replace(oneLong, `\"long\"`, `{\"type\":\"array\"}`, 1),
			drumbeat.ErrInvalid,
			[]string{"column a is nested"},
		},
		{
			"a strange column", speaks + "\n" + strings.Replace(oneLong, `\"long\"`, `\"timestamp_ntz\"`, 1),
			drumbeat.ErrInvalid,
			[]string{"column a is a timestamp_ntz"},
		},
		{
			"a file elsewhere", speaks + "\n" + oneLong + "\n" + `{"add":{"path":"s3://bucket/a.parquet","size":1}}`,
			drumbeat.ErrInvalid,
			[]string{"s3://bucket/a.parquet", "outside the table"},
		},
		{"no metaData", speaks, drumbeat.ErrInvalid, []string{"without protocol and metaData"}},
		{"no JSON", "{\n", drumbeat.ErrInvalid, []string{firstCommit + ":1", "restore the file"}},
		{"an empty commit", "", drumbeat.ErrInvalid, []string{firstCommit, "empty"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := memory.New(time.Now)
			put(t, store, firstCommit, []byte(test.commit))
			_, err := delta.Open(t.Context(), store, "t", delta.Options{})
			refused(t, err, test.kind, append(test.words, "open table t")...)
		})
	}
}

// refused holds an error to its kind and its words.
func refused(t testing.TB, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want the kind %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestATableThatWeMustNotWriteIsReadAllTheSame(t *testing.T) {
	store := memory.New(time.Now)
	put(t, store, firstCommit, []byte(strings.Replace(speaks, `"minWriterVersion":2`, `"minWriterVersion":4`, 1)+"\n"+oneLong))
	table, err := delta.Open(t.Context(), store, "t", delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	batch := &delta.Batch{N: 1, Columns: []delta.Column{{Ints: []int64{1}}}}
	refused(t, table.Append(t.Context(), []*delta.Batch{batch}, delta.Commit{}), drumbeat.ErrNewer, "writer version 4")

	store = memory.New(time.Now)
	rule := strings.Replace(oneLong, `\"metadata\":{}`, `\"metadata\":{\"delta.invariants\":\"x\"}`, 1)
	put(t, store, firstCommit, []byte(speaks+"\n"+rule))
	if table, err = delta.Open(t.Context(), store, "t", delta.Options{}); err != nil {
		t.Fatal(err)
	}
	refused(t, table.Append(t.Context(), []*delta.Batch{batch}, delta.Commit{}), drumbeat.ErrNewer, "delta.invariants")
}

func TestAMissingTableIsNotFound(t *testing.T) {
	_, err := delta.Open(t.Context(), memory.New(time.Now), "t", delta.Options{})
	refused(t, err, drumbeat.ErrNotFound, "open table t", "there is no table")
}

func TestAMissingCommitSaysWhich(t *testing.T) {
	store := memory.New(time.Now)
	table := open(t, store)
	for i := range 4 {
		appendRows(t, table, rows(i, 1))
	}
	key := "t/_delta_log/00000000000000000002.json"
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	_, err := delta.Open(t.Context(), store, "t", delta.Options{})
	refused(t, err, drumbeat.ErrInvalid, "version 2", key, "restore the file from a backup")
}

func TestADamagedDataFileSaysWhich(t *testing.T) {
	store := memory.New(time.Now)
	table := open(t, store)
	appendRows(t, table, rows(0, 5000), rows(5000, 10))
	key := "t/" + table.Snapshot().Files()[0].Path
	body := get(t, store, key)
	scan := func() error {
		for _, err := range table.Snapshot().Scan(t.Context(), delta.ScanOptions{}) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for name, bad := range map[string][]byte{
		"its end is missing":       body[:len(body)-9],
		"its beginning is missing": body[9:],
		"it is half as long":       body[:len(body)/2],
		"it is empty":              {},
		"it is text":               []byte(strings.Repeat("not a table\n", 50)),
		"one bit is another":       flipped(body),
		"its middle is zeros":      append(append(bytes.Clone(body[:500]), make([]byte, 2000)...), body[2500:]...),
	} {
		t.Run(name, func(t *testing.T) {
			put(t, store, key, bad)
			refused(t, scan(), drumbeat.ErrInvalid, "scan table t", key, "damaged", "restore it from a backup")
		})
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	refused(t, scan(), drumbeat.ErrNotFound, key, "in the log and not in the store")
	put(t, store, key, get(t, store, "t/"+table.Snapshot().Files()[1].Path))
	refused(t, scan(), drumbeat.ErrInvalid, key, "checksum")
}

func flipped(body []byte) []byte {
	bad := bytes.Clone(body)
	bad[len(bad)/3] ^= 4
	return bad
}

func TestADamagedCheckpointIsReadAround(t *testing.T) {
	store := memory.New(time.Now)
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{CheckpointEvery: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		appendRows(t, table, rows(i, 1))
	}
	key, hint := "t/_delta_log/00000000000000000006.checkpoint.parquet", "t/_delta_log/_last_checkpoint"
	body := get(t, store, key)
	var told bytes.Buffer
	check := func() {
		t.Helper()
		table, err := delta.Open(t.Context(), store, "t", delta.Options{Log: slog.New(slog.NewTextHandler(&told, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(upTo(7), offsets(t, table.Snapshot())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	put(t, store, key, body[:len(body)/2])
	check()
	if !strings.Contains(told.String(), key) {
		t.Errorf("the log does not name the checkpoint: %q", told.String())
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	check()
	for _, text := range []string{"", "nonsense", `{"version":-4}`, `{"version":77}`} {
		put(t, store, hint, []byte(text))
		check()
	}
	put(t, store, key, body)
	check()
	// Without the commits before it an older checkpoint serves.
	put(t, store, key, body[:len(body)/2])
	if err := store.Delete(t.Context(), firstCommit); err != nil {
		t.Fatal(err)
	}
	check()
	// Without either a damaged checkpoint cannot be read around.
	if err := store.Delete(t.Context(), "t/_delta_log/00000000000000000003.checkpoint.parquet"); err != nil {
		t.Fatal(err)
	}
	_, err = delta.Open(t.Context(), store, "t", delta.Options{})
	refused(t, err, drumbeat.ErrInvalid, key, "damaged", "not all there either")
}

func TestRemovedFilesAreGoneAlsoAfterACheckpoint(t *testing.T) {
	store := memory.New(time.Now)
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{CheckpointEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		appendRows(t, table, rows(i, 1))
	}
	gone := table.Snapshot().Files()[1].Path
	put(t, store, "t/_delta_log/00000000000000000004.json", fmt.Appendf(nil,
		`{"remove":{"path":%q,"deletionTimestamp":%d,"dataChange":true}}`, gone, time.Now().UnixMilli()))
	for i := 3; i < 8; i++ {
		appendRows(t, table, rows(i, 1))
	}
	want := []int64{0, 2, 3, 4, 5, 6, 7}
	if diff := cmp.Diff(want, offsets(t, open(t, store).Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := store.Delete(t.Context(), firstCommit); err != nil { // from the checkpoint, then
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, offsets(t, open(t, store).Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
