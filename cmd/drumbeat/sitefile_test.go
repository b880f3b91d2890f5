package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"drumbeat/fleet/strict"
	"drumbeat/objstore/s3"
)

func TestASiteFileIsReadStrictly(t *testing.T) {
	files := fstest.MapFS{siteName: {Data: []byte("brokr: {}\n")}}
	_, err := readSite(files)
	if err == nil || !strings.Contains(err.Error(), "site.yaml:1:1") {
		t.Errorf("got %v, want the unknown word with its place", err)
	}
	if _, err := readSite(fstest.MapFS{}); err != nil {
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

func TestTheSectionObjectsNamesABucket(t *testing.T) {
	t.Setenv("DRUMBEAT_TEST_SECRET", "s3same")
	text := "objects:\n  s3: {endpoint: 'http://127.0.0.1:1', bucket: lake, prefix: a/b, path_style: true, " +
		"access_key_env: DRUMBEAT_TEST_SECRET, secret_key_env: DRUMBEAT_TEST_SECRET}\n"
	site, err := readSite(fstest.MapFS{siteName: {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	want := s3.Config{
		Endpoint: "http://127.0.0.1:1", Bucket: "lake", Prefix: "a/b", PathStyle: true, AccessKey: "s3same", SecretKey: "s3same",
	}
	if *site.objects != want {
		t.Errorf("got %+v, want %+v", *site.objects, want)
	}
	_, err = readSite(fstest.MapFS{siteName: {Data: []byte("objects: {s3: {buckt: lake}}\n")}})
	if err == nil || !strings.Contains(err.Error(), `did you mean "bucket"`) || !strings.Contains(err.Error(), "endpoint") {
		t.Errorf("got %v, want the unknown word, and what is missing", err)
	}
}
