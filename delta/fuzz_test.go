package delta_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"drumbeat/delta"
	"drumbeat/objstore/memory"
)

// read opens a table and reads all of it; what goes wrong must name the file.
func read(t *testing.T, store delta.Store, key string) {
	t.Helper()
	table, err := delta.Open(t.Context(), store, "t", delta.Options{})
	if err == nil {
		for _, f := range table.Snapshot().Files() {
			f.Rows()
			for _, field := range table.Snapshot().Schema() {
				f.Range(field)
			}
		}
		for _, err = range table.Snapshot().Scan(t.Context(), delta.ScanOptions{}) {
			if err != nil {
				break
			}
		}
	}
	if err != nil && !strings.Contains(err.Error(), "t/") {
		t.Errorf("error %q does not name a file; %s was bad", err, key)
	}
}

func FuzzCommit(f *testing.F) {
	for _, text := range []string{
		speaks + "\n" + oneLong,
		`{"add":{"path":"a.parquet","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,"stats":"{\"numRecords\":3}"}}`,
		`{"remove":{"path":"a.parquet","deletionTimestamp":1}}`, `{"txn":{"appId":"x","version":3}}`, `{"commitInfo":{}}`, `{"cdc":{}}`,
		`{"add":{"path":"%zz"}}`, "null\n\n{}", `{"metaData":null}`, `{"protocol":{}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		store := memory.New(time.Now)
		put(t, store, firstCommit, []byte(speaks+"\n"+oneLong))
		put(t, store, secondCommit, body)
		read(t, store, secondCommit)
	})
}

func FuzzStatistics(f *testing.F) {
	f.Add(`{"numRecords":3,"minValues":{"offset":1,"at":"2026-01-01T00:00:00.000Z"},"maxValues":{"offset":9,"at":"x"},"nullCount":{"offset":0}}`)
	f.Add(`{"numRecords":-1}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, stats string) {
		quoted, err := json.Marshal(stats)
		if err != nil {
			t.Fatal(err) // a text always marshals
		}
		store := memory.New(time.Now)
		table := open(t, store)
		put(t, store, secondCommit, fmt.Appendf(nil, `{"add":{"path":"a.parquet","size":1,"stats":%s}}`, quoted))
		if _, err := table.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		table.Snapshot().Rows()
		for _, file := range table.Snapshot().Files() {
			for _, field := range columns {
				if least, greatest, ok := file.Range(field); ok && least > greatest {
					t.Errorf("%s ranges from %d to %d", field.Name, least, greatest)
				}
			}
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	store := memory.New(time.Now)
	table, err := delta.Create(f.Context(), store, "t", columns, delta.Options{CheckpointEvery: 2})
	if err != nil {
		f.Fatal(err)
	}
	appendRows(f, table, rows(0, 3))
	appendRows(f, table, rows(3, 3))
	const key = "t/_delta_log/00000000000000000002.checkpoint.parquet"
	f.Add(get(f, store, key))
	f.Fuzz(func(t *testing.T, body []byte) {
		store := memory.New(time.Now)
		put(t, store, key, body)
		read(t, store, key)
	})
}

func FuzzDataFile(f *testing.F) {
	store := memory.New(time.Now)
	table := open(f, store)
	appendRows(f, table, rows(0, 300))
	// Without the checksum, that the decoder sees the bad bytes.
	commit := get(f, store, secondCommit)
	for _, word := range []string{"drumbeat.crc32c", "Drumbeat/2"} {
		commit = bytes.ReplaceAll(commit, []byte(word), []byte("its.own"))
	}
	f.Add(get(f, store, "t/"+table.Snapshot().Files()[0].Path))
	key := "t/" + table.Snapshot().Files()[0].Path
	first := get(f, store, firstCommit)
	f.Fuzz(func(t *testing.T, body []byte) {
		store := memory.New(time.Now)
		put(t, store, firstCommit, first)
		put(t, store, secondCommit, commit)
		put(t, store, key, body)
		read(t, store, key)
	})
}
