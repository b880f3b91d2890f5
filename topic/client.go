package topic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"drumbeat"
)

const (
	// reachTimeout is how long a broker may take to answer the first time: an
	// election or a cold start takes some seconds, a wrong address for ever.
	reachTimeout = 10 * time.Second
	// deliveryTimeout is how long a record is tried before Write gives up. It
	// bridges a restart of a broker; beyond it somebody must look.
	deliveryTimeout = 2 * time.Minute
)

// dial makes a client and sees that a broker answers, so that a wrong address
// is a sentence now rather than silence later.
func dial(ctx context.Context, cfg Config, opts ...kgo.Opt) (*kgo.Client, error) {
	if len(cfg.Brokers) == 0 {
		return nil, fmt.Errorf("reach a broker: no address given: %w", drumbeat.ErrInvalid)
	}
	clientID := cfg.ClientID
	if clientID == "" {
		clientID = "drumbeat"
	}
	identity, err := identify(cfg)
	if err != nil {
		return nil, err
	}
	all := slices.Concat([]kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID(clientID),
		kgo.DialTimeout(5 * time.Second),
		kgo.RetryTimeout(deliveryTimeout),
		kgo.DisableClientMetrics(),
		// A topic that is not there shall be an error soon, not in half a minute.
		kgo.MetadataMinAge(250 * time.Millisecond),
	}, identity, opts)
	client, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", strings.Join(cfg.Brokers, ","), err)
	}
	ping, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := client.Ping(ping); err != nil {
		client.Close()
		return nil, unreachable(cfg, err)
	}
	return client, nil
}

// Reach sees that a broker answers and knows this client.
func Reach(ctx context.Context, cfg Config) error {
	client, err := dial(ctx, cfg)
	if err != nil {
		return err
	}
	client.Close()
	return nil
}

// identify returns the options by which a client shows who it is.
func identify(cfg Config) ([]kgo.Opt, error) {
	var opts []kgo.Opt
	if cfg.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(cfg.TLS.Clone()))
	}
	if cfg.SASL == nil {
		return opts, nil
	}
	who := scram.Auth{User: cfg.SASL.User, Pass: cfg.SASL.Password}
	var mechanism sasl.Mechanism
	switch cfg.SASL.Mechanism {
	case Plain:
		mechanism = plain.Auth{User: who.User, Pass: who.Pass}.AsMechanism()
	case ScramSHA256:
		mechanism = who.AsSha256Mechanism()
	case ScramSHA512:
		mechanism = who.AsSha512Mechanism()
	default:
		return nil, fmt.Errorf("reach a broker: SASL mechanism %q, want %s, %s or %s: %w",
			cfg.SASL.Mechanism, Plain, ScramSHA256, ScramSHA512, drumbeat.ErrInvalid)
	}
	return append(opts, kgo.SASL(mechanism)), nil
}

func unreachable(cfg Config, err error) error {
	advice := "see that it runs and that this is its address"
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism),
		strings.Contains(err.Error(), "invalid server signature"): // SCRAM's answer to a wrong password is the broker's
		advice = "see that user, password and SASL mechanism are those that it knows"
	case errors.As(err, &untrusted):
		advice = "its certificate is not to be trusted: name the authority that signed it (tls: ca_file), and the broker as the certificate does"
	}
	return fmt.Errorf("reach broker %s: %w; %s", strings.Join(cfg.Brokers, ","), err, advice)
}

// explain adds to a broker's error what the operator can do about it.
func explain(cfg Config, doing string, err error) error {
	var network *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &network), errors.Is(err, kgo.ErrRecordTimeout):
		return fmt.Errorf("%s: %w", doing, unreachable(cfg, err))
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return fmt.Errorf("%s: the broker does not have it, or it was made anew meanwhile: %w (%w)",
			doing, drumbeat.ErrNotFound, err)
	case errors.Is(err, kerr.OffsetOutOfRange):
		return fmt.Errorf("%s: the topic no longer holds that offset; it was cut by retention or made anew: %w (%w)",
			doing, drumbeat.ErrNotFound, err)
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("%s: a record is larger than the topic's max.message.bytes: %w (%w)",
			doing, drumbeat.ErrLimit, err)
	case errors.Is(err, kerr.UnknownServerError), errors.Is(err, kerr.KafkaStorageError):
		return fmt.Errorf("%s: the broker could not do it; often its disk is full, its log says: %w", doing, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed),
		errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return fmt.Errorf("%s: the broker refuses this client; ask for the permission: %w", doing, err)
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch):
		return fmt.Errorf("%s: another process took over; stop one of the two: %w (%w)",
			doing, drumbeat.ErrConflict, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
