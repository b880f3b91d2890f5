package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"drumbeat"
)

// files holds our own style sheet and script and, once make build has fetched
// them, those of others under assets/vendor.
//
//go:embed assets templates
var files embed.FS

// assets are the files that a page refers to, each under an address that
// changes with its content, so that browsers may keep it for ever.
type assets struct {
	byName map[string]*asset
}

type asset struct {
	contentType  string
	plain, small []byte // small is gzip
	version      string
}

// needed are the files of others that the page does not work without.
//
//nolint:gochecknoglobals // a constant table
var needed = [...]string{"vendor/htmx.js", "vendor/uplot.js", "vendor/uplot.css"}

// contentTypes are the kinds of file that are served.
//
//nolint:gochecknoglobals // a constant table
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

func loadAssets() (*assets, error) {
	all := &assets{byName: map[string]*asset{}}
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		contentType, known := contentTypes[path.Ext(name)]
		if !known {
			return nil
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		one := &asset{contentType: contentType, plain: content, version: base64.RawURLEncoding.EncodeToString(sum[:9])}
		if one.small, err = compress(content); err != nil {
			return err
		}
		all.byName[strings.TrimPrefix(name, "assets/")] = one
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the page's files: %w", err)
	}
	for _, name := range needed {
		if all.byName[name] == nil {
			return nil, fmt.Errorf("read the page's files: %s is not in this program: build it with make build, which fetches it: %w",
				name, drumbeat.ErrNotFound)
		}
	}
	return all, nil
}

func compress(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// address returns where a file is served.
func (a *assets) address(name string) (string, error) {
	one := a.byName[name]
	if one == nil {
		return "", fmt.Errorf("page file %s: %w", name, drumbeat.ErrNotFound)
	}
	return "/assets/" + name + "?v=" + one.version, nil
}

// serve serves a file.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) error {
	one := a.byName[r.PathValue("path")]
	if one == nil {
		return fmt.Errorf("page file %s: %w", r.PathValue("path"), drumbeat.ErrNotFound)
	}
	h := w.Header()
	h.Set("Content-Type", one.contentType)
	h.Set("Vary", "Accept-Encoding")
	if r.URL.Query().Get("v") == one.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := one.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = one.small
	}
	_, _ = w.Write(body) // a client that went away is no fault of ours
	return nil
}
