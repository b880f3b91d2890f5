//go:build real

package topictest_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"drumbeat/topic"
	"drumbeat/topic/kafkatest"
	"drumbeat/topic/topictest"
)

// TestKafkaKeepsTheContract holds the real Apache Kafka to the contract, by
// every way to show who one is.
func TestKafkaKeepsTheContract(t *testing.T) {
	kafka := kafkatest.Start(t)
	for name, cfg := range map[string]topic.Config{
		"without a password":     kafka.Plain(),
		"SASL PLAIN":             kafka.SASL(topic.Plain),
		"SASL PLAIN over TLS":    kafka.TLS(topic.Plain),
		"SCRAM-SHA-256":          kafka.SASL(topic.ScramSHA256),
		"SCRAM-SHA-512 over TLS": kafka.TLS(topic.ScramSHA512),
	} {
		t.Run(name, func(t *testing.T) {
			b := topictest.Kafka(cfg)
			topictest.Run(t, b)
		})
	}
	t.Run("records that are gone", func(t *testing.T) { topictest.RunLost(t, kafka.Plain()) })
	t.Run("spoken to as to Azure Event Hubs", func(t *testing.T) { topictest.RunEventHubs(t, kafka.TLS(topic.Plain)) })
}

func TestARefusalOfKafkaSaysWhatToDo(t *testing.T) {
	kafka := kafkatest.Start(t)
	wrong := func(cfg topic.Config) topic.Config {
		cfg.SASL = &topic.SASL{Mechanism: cfg.SASL.Mechanism, User: kafkatest.User, Password: "s3same"}
		return cfg
	}
	untrusted := kafka.TLS(topic.Plain)
	untrusted.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	inClear := kafka.TLS(topic.Plain)
	inClear.TLS = nil
	overTLS := kafka.SASL(topic.Plain)
	overTLS.TLS = kafka.TLS(topic.Plain).TLS
	nobody := kafka.SASL(topic.Plain)
	nobody.SASL = nil
	for name, test := range map[string]struct {
		cfg  topic.Config
		want string
	}{
		"a wrong password":               {wrong(kafka.SASL(topic.Plain)), "see that user, password"},
		"a wrong password by SCRAM":      {wrong(kafka.SASL(topic.ScramSHA256)), "see that user, password"},
		"an authority nobody trusts":     {untrusted, "its certificate is not to be trusted"},
		"a port of TLS spoken to openly": {inClear, "tls endpoint?"},
		"TLS to a port without it":       {overTLS, "is TLS misconfigured"},
		"no user where one is asked for": {nobody, "SASL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := topic.NewWriter(t.Context(), test.cfg)
			if err == nil {
				t.Fatal("it connected")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3same") {
				t.Errorf("got %q, want %q in it, and no password", err, test.want)
			}
		})
	}
}
