package drumbeat_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "drumbeat"

// arrows is the architecture: who may import whom. Everyone may import the
// root and failpoint, which does nothing; a backend (a folder inside a package) may import its parent and what
// that parent may; cmd and bench may import anything. Go itself refuses cycles.
var arrows = map[string]string{
	// Nouns.
	"fleet":      "fleet/strict",
	"fleets":     "",
	"topic":      "objstore",
	"objstore":   "",
	"sqlitefile": "",
	"delta":      "objstore",
	"lake":       "fleet delta objstore",
	"feature":    "fleet fleet/strict sqlitefile",
	"label":      "fleet",
	"model":      "",
	"registry":   "objstore label sqlitefile",
	"access":     "sqlitefile",
	"failpoint":  "",
	"pipeline":   "sqlitefile",
	"sim":        "fleet topic",

	// Verbs, in the order that data meets them. None names another.
	"ingest":      "topic fleet lake access",
	"refine":      "lake fleet",
	"materialize": "topic lake feature label fleet",
	"train":       "lake feature label fleet model registry",
	"serve":       "feature fleet model registry access",
	"alert":       "fleet label sqlitefile",
	"monitor":     "lake feature label fleet registry",
	"web":         "access",
}

// homes names the rooms that may import each third-party module. A module
// that is not here has no home yet: give it one.
var homes = map[string][]string{
	"github.com/alecthomas/kong":          {"cmd"},
	"github.com/danielgtaylor/huma":       {"serve", "cmd"},
	"github.com/ebitengine/purego":        {"train/xgboost"},
	"github.com/eclipse/paho.golang":      {"ingest/mqtt"},
	"github.com/google/go-cmp":            {"objstore/objstoretest", "registry/registrytest", "feature/onlinetest", "topic/topictest"},
	"github.com/klauspost/compress":       {"delta"},
	"github.com/minio/minio-go":           {"objstore/s3"},
	"github.com/parquet-go/parquet-go":    {"delta"},
	"github.com/pressly/goose":            {"sqlitefile"},
	"github.com/prometheus/client_golang": {"serve", "cmd"},
	"github.com/schollz/progressbar":      {"cmd"},
	"github.com/twmb/franz-go":            {"topic"},
	"go.yaml.in/yaml":                     {"fleet/strict"},
	"golang.org/x/sync":                   {"lake", "delta", "refine", "materialize", "train", "cmd", "bench"},
	"golang.org/x/sys":                    {"objstore/fs", "cmd"},
	"golang.org/x/term":                   {"cmd"},
	"modernc.org/sqlite":                  {"sqlitefile"},
}

func TestImportsGoOneWay(t *testing.T) {
	for from, targets := range imports(t) {
		top, _, backend := strings.Cut(from, "/")
		for _, to := range targets {
			checkHome(t, from, to)
			if top == "cmd" || top == "bench" {
				continue
			}
			allowed, known := arrows[top]
			if from != "." && !known {
				t.Errorf("%s is not in arrows: say where it stands", from)
				break
			}
			to, ours := strings.CutPrefix(to, module+"/")
			if !ours || to == "failpoint" || backend && to == top || slices.Contains(strings.Fields(allowed), to) ||
				strings.HasPrefix(to, from+"/") {
				continue
			}
			t.Errorf("%s must not import %s", from, to)
		}
	}
}

// checkHome refuses a third-party module outside the rooms that it lives in.
func checkHome(t *testing.T, from, to string) {
	t.Helper()
	first, _, _ := strings.Cut(to, "/")
	if !strings.Contains(first, ".") {
		return
	}
	for client, rooms := range homes {
		if to != client && !strings.HasPrefix(to, client+"/") {
			continue
		}
		for _, room := range rooms {
			if from == room || strings.HasPrefix(from, room+"/") {
				return
			}
		}
		t.Errorf("%s imports %s: only %v may", from, to, rooms)
		return
	}
	t.Errorf("%s imports %s, which has no home in this table", from, to)
}

// imports returns what each folder's Go files import, tests aside. It reads the
// files itself: go test would not see go list read them, and would repeat an
// old verdict from its cache.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		targets := all[folder]
		for _, spec := range file.Imports {
			targets = append(targets, strings.Trim(spec.Path.Value, `"`))
		}
		all[folder] = targets // even if there are none: the folder needs a row
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
