package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"drumbeat/fleet/strict"
)

func TestASiteFileIsReadStrictly(t *testing.T) {
	files := fstest.MapFS{siteName: {Data: []byte("brokr: {}\n")}}
	_, err := readSite(files, siteName)
	if err == nil || !strings.Contains(err.Error(), "site.yaml:1:1") {
		t.Errorf("got %v, want the unknown word with its place", err)
	}
	if _, err := readSite(fstest.MapFS{}, siteName); err != nil {
		t.Errorf("without a site file everything is embedded: %v", err)
	}
}

func TestASecretComesFromTheEnvironmentOrAFile(t *testing.T) {
	t.Setenv("DRUMBEAT_TEST_SECRET", "s3same")
	for text, want := range map[string]string{
		"password_env: DRUMBEAT_TEST_SECRET": "s3same",
		"password: open":                     "",
		"password_env: DRUMBEAT_TEST_ABSENT": "",
	} {
		file, err := strict.Parse("site.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := readSecret(file.Root().Map(), "password"); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
		if fault := file.Err(); (fault == nil) != (want != "") {
			t.Errorf("%s: got fault %v", text, fault)
		}
	}
}
