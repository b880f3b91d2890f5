package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"drumbeat"
	"drumbeat/fleet/strict"
	"drumbeat/ingest/mqtt"
	"drumbeat/objstore/s3"
)

// siteName is the file in a data folder that says which outer systems the site
// uses (docs/format/site.md). Without it everything is embedded.
const siteName = "site.yaml"

// siteFile is what it says. The zero value is the embedded default.
type siteFile struct {
	objects *s3.Config    // nil: a folder
	kafka   *kafkaSection // nil: the embedded broker
	mqtt    *mqtt.Config  // nil: none
}

// loadSite reads a data folder's site file, if there is one.
func loadSite(dir string) (siteFile, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return siteFile{}, fmt.Errorf("open data folder: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	return readSite(root.FS())
}

func readSite(fsys fs.FS) (siteFile, error) {
	var site siteFile
	file, err := strict.Open(fsys, siteName)
	if errors.Is(err, drumbeat.ErrNotFound) {
		return site, nil
	}
	if err != nil {
		return site, err
	}
	root := file.Root().Map()
	site.objects = objectsSection(root.Get("objects"))
	site.kafka = readKafka(root.Get("kafka"))
	site.mqtt = readMQTT(root.Get("mqtt"))
	root.Close()
	return site, file.Err()
}

// readSecret reads a secret, which a site file never holds itself: it names an
// environment variable (<key>_env) or a file (<key>_file) that does. What a
// secret says is never logged.
func readSecret(m *strict.Map, key string) string {
	if plain := m.Get(key); plain.Exists() {
		plain.Faultf("a secret does not stand in this file: name a variable with %s_env or a file with %s_file", key, key)
	}
	if name := m.Get(key + "_env"); name.Exists() {
		variable := name.Text("")
		text, set := os.LookupEnv(variable)
		if variable != "" && (!set || text == "") {
			name.Faultf("the environment has no %s", variable)
		}
		return text
	}
	name := m.Get(key + "_file")
	path := name.Text("")
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if err != nil {
		name.Faultf("cannot be read: %s", err)
		return ""
	}
	if len(text) > maxSecret {
		name.Faultf("holds %d bytes, a secret has at most %d", len(text), maxSecret)
		return ""
	}
	return strings.TrimRight(string(text), "\r\n")
}

// maxSecret bounds a secret: a connection string of Azure has some 200 bytes.
const maxSecret = 16 << 10
