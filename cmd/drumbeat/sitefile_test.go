package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"drumbeat/fleet/strict"
	"drumbeat/ingest/mqtt"
	"drumbeat/objstore/s3"
	"drumbeat/topic"
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

func TestTheSectionKafkaNamesABroker(t *testing.T) {
	t.Setenv("DRUMBEAT_TEST_SECRET", "Endpoint=sb://x/;SharedAccessKey=k")
	read := func(text string) (*kafkaSection, error) {
		t.Helper()
		site, err := readSite(fstest.MapFS{siteName: {Data: []byte("kafka: " + text + "\n")}})
		return site.kafka, err
	}
	k, err := read("{brokers: ['a:1', 'b:2'], partitions: 12, tls: {}, sasl: {mechanism: scram-sha-256, user: u, password_env: DRUMBEAT_TEST_SECRET}, compression: lz4}")
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Brokers) != 2 || k.partitions != 12 || k.TLS == nil || k.SASL.Mechanism != topic.ScramSHA256 || k.SASL.User != "u" || k.Compression != topic.LZ4 || k.EventHubs {
		t.Errorf("got %+v", k)
	}
	k, err = read("{profile: event_hubs, brokers: ['a:9093'], connection_string_env: DRUMBEAT_TEST_SECRET}")
	if err != nil {
		t.Fatal(err)
	}
	if k.TLS == nil || k.SASL.Mechanism != topic.Plain || k.SASL.User != "$ConnectionString" || k.Compression != topic.NoCompression || !k.EventHubs || k.partitions != partitions {
		t.Errorf("got %+v", k)
	}
	for text, want := range map[string]string{
		"{}":                                   `"brokers" is missing`,
		"{brokers: []}":                        "at least one host:port",
		"{brokers: ['a:1'], compressin: lz4}":  `did you mean "compression"`,
		"{brokers: ['a:1'], compression: lz5}": `did you mean "lz4"`,
		"{brokers: ['a:1'], sasl: {mechanism: plain, user: u, password_env: DRUMBEAT_TEST_SECRET}}":                                                   "in the clear",
		"{brokers: ['a:1'], tls: {ca_file: /nowhere}}":                                                                                                "cannot be read",
		"{brokers: ['a:1'], tls: {cert_file: /nowhere, key_file: /nowhere}}":                                                                          "no certificate of a client",
		"{brokers: ['a:1'], partitions: 0}":                                                                                                           "partitions",
		"{profile: event_hubs, brokers: ['a:1'], connection_string: secret}":                                                                          "a secret does not stand in this file",
		"{profile: event_hubs, brokers: ['a:1'], connection_string_env: DRUMBEAT_TEST_SECRET, sasl: {mechanism: plain, user: u, in_the_clear: true}}": "leave one of the two out",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := read("{brokers: ['a:1'], sasl: {mechanism: plain, user: u, in_the_clear: true, password_env: DRUMBEAT_TEST_SECRET}}"); err != nil {
		t.Errorf("a network that is trusted: %v", err)
	}
}

func TestTheSectionMQTTNamesWhatToListenTo(t *testing.T) {
	t.Setenv("DRUMBEAT_TEST_SECRET", "s3same")
	read := func(text string) (*mqtt.Config, error) {
		t.Helper()
		site, err := readSite(fstest.MapFS{siteName: {Data: []byte("mqtt: " + text + "\n")}})
		return site.mqtt, err
	}
	m, err := read("{brokers: ['mqtts://b:8883'], user: u, password_env: DRUMBEAT_TEST_SECRET, tls: {}, subscriptions: [{topic: 'a/+/b', fleet: laundry}, {topic: c, type: failure}]}")
	if err != nil {
		t.Fatal(err)
	}
	want := []mqtt.Subscription{{Filter: "a/+/b", Fleet: "laundry", Type: "reading"}, {Filter: "c", Type: "failure"}}
	if !slices.Equal(m.Subscriptions, want) || m.Brokers[0].Host != "b:8883" || m.Password != "s3same" || m.TLS == nil || m.ClientID != "drumbeat" {
		t.Errorf("got %+v", m)
	}
	for text, fault := range map[string]string{
		"{subscriptions: [{topic: a}]}":                                     `"brokers" is missing`,
		"{brokers: ['b:1883'], subscriptions: [{topic: a}]}":                "mqtt://host:1883",
		"{brokers: ['mqtt://b:1883']}":                                      `"subscriptions" is missing`,
		"{brokers: ['mqtt://b:1883'], subscriptions: [{topic: 'a/#/b'}]}":   "for all that follow",
		"{brokers: ['mqtt://b:1883'], subscriptions: [{topics: a}]}":        `did you mean "topic"`,
		"{brokers: ['mqtt://b:1883'], subscriptions: [], password: s3same}": "a secret does not stand in this file",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: got %v, want %q", text, err, fault)
		}
	}
}
