package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"drumbeat/fleet/strict"
	"drumbeat/topic"
)

// kafkaSection is the site file's `kafka:`: a broker of the site's own.
type kafkaSection struct {
	topic.Config
	partitions int32 // of topics that Drumbeat makes
}

// The profiles: what a kind of broker is known to need.
const (
	profileKafka     = "kafka"
	profileEventHubs = "event_hubs"
)

// The most that the section may ask for.
const (
	maxBrokers    = 64
	maxPartitions = 1024
)

// readKafka reads the section; without it the embedded broker serves.
func readKafka(v strict.Value) *kafkaSection {
	if !v.Exists() {
		return nil
	}
	m := v.Map()
	defer m.Close()
	section := &kafkaSection{partitions: int32(m.Get("partitions").Int(partitions, 1, maxPartitions))} //nolint:gosec // within bounds
	profile := []string{profileKafka, profileEventHubs}[m.Get("profile").OneOf(0, profileKafka, profileEventHubs)]
	brokers := m.Need("brokers")
	section.Brokers = brokers.Texts(maxBrokers)
	if brokers.Exists() && len(section.Brokers) == 0 {
		brokers.Faultf("names no broker; want at least one host:port")
	}
	section.TLS = readTLS(m.Get("tls"))
	section.SASL = readSASL(m.Get("sasl"), section.TLS != nil)
	codecs := []string{string(topic.Zstd), string(topic.LZ4), string(topic.Snappy), string(topic.Gzip), string(topic.NoCompression)}
	usual := 0
	if profile == profileEventHubs {
		usual = len(codecs) - 1
		section.eventHubs(m)
	}
	section.Compression = topic.Compression(codecs[m.Get("compression").OneOf(usual, codecs...)])
	return section
}

// eventHubs is what Azure Event Hubs needs: TLS, its connection string as a
// password, no transactions.
func (s *kafkaSection) eventHubs(m *strict.Map) {
	s.EventHubs = true
	secret := readSecret(m, "connection_string")
	if secret == "" {
		return // sasl: says who we are, if anything does
	}
	if s.SASL != nil {
		m.Get("sasl").Faultf("connection_string says it already: leave one of the two out")
	}
	s.SASL = &topic.SASL{Mechanism: topic.Plain, User: "$ConnectionString", Password: secret}
	if s.TLS == nil {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
}

// readTLS reads `tls:`, a mapping that may be empty: {}.
func readTLS(v strict.Value) *tls.Config {
	if !v.Exists() {
		return nil
	}
	m := v.Map()
	defer m.Close()
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: m.Get("server_name").Text("")}
	if file := m.Get("ca_file"); file.Exists() {
		cfg.RootCAs = x509.NewCertPool()
		text, err := os.ReadFile(file.Text(""))
		switch {
		case err != nil:
			file.Faultf("cannot be read: %s", err)
		case !cfg.RootCAs.AppendCertsFromPEM(text):
			file.Faultf("holds no certificate in PEM form")
		}
	}
	certificate, key := m.Get("cert_file"), m.Get("key_file")
	if certificate.Exists() || key.Exists() {
		pair, err := tls.LoadX509KeyPair(certificate.Text(""), key.Text(""))
		if err != nil {
			m.Get("cert_file").Faultf("with key_file is no certificate of a client: %s", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}

func readSASL(v strict.Value, encrypted bool) *topic.SASL {
	if !v.Exists() {
		return nil
	}
	m := v.Map()
	defer m.Close()
	mechanisms := []topic.Mechanism{topic.ScramSHA512, topic.ScramSHA256, topic.Plain}
	mechanism := m.Need("mechanism")
	s := &topic.SASL{
		Mechanism: mechanisms[mechanism.OneOf(0, string(mechanisms[0]), string(mechanisms[1]), string(mechanisms[2]))],
		User:      m.Need("user").Text(""),
	}
	s.Password = readSecret(m, "password")
	accepted := m.Get("in_the_clear").Bool(false)
	if s.Mechanism == topic.Plain && !encrypted && !accepted {
		mechanism.Faultf("sends the password in the clear without tls: add `tls: {}`, or `in_the_clear: true` on a network that you trust")
	}
	return s
}
