// Package mqtt takes what an MQTT broker sends (MQTT 5; brokers translate for
// devices that speak 3.1.1). A message is acknowledged when what was made of
// it is durable, so none is lost; one that the broker sends again because an
// acknowledgement was lost does no harm: what says the same is a duplicate
// (T3, T7).
package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"drumbeat/topic"
)

const (
	// inFlight bounds the messages that were received and not acknowledged:
	// they are written together.
	inFlight = 1000
	// maxPacket bounds a message to what a record holds, with room for its
	// topic; the broker is told so and keeps larger ones back.
	maxPacket = topic.MaxRecordBytes + 64<<10
	// sessionExpiry is how long the broker keeps messages for us while we are
	// away, in seconds: a month.
	sessionExpiry = 30 * 24 * 3600
	keepAlive     = 30 // seconds
	retryAfter    = 2 * time.Second
)

// Subscription is what to listen to.
type Subscription struct {
	Filter string // an MQTT topic filter: laundry/+/readings
	Fleet  string // whose messages these are
	Type   string // of the records: a log's name, fleet.TypeReading or fleet.TypeMachine
}

// Config says how to reach a broker, and what to listen to.
type Config struct {
	Brokers       []*url.URL // mqtt://host:1883, mqtts://host:8883
	ClientID      string     // the broker keeps our messages under it
	User          string
	Password      string
	TLS           *tls.Config
	Subscriptions []Subscription
}

// Message is what came.
type Message struct {
	*Subscription
	Topic   string
	Payload []byte
}

// Take makes messages durable, all of them, or fails. They come in the order
// in which they were received, some hundreds at once if they come fast.
type Take func(ctx context.Context, messages []Message) error

// Run listens until ctx ends, or messages cannot be made durable. A broker
// that is away is waited for.
func Run(ctx context.Context, cfg Config, take Take, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan paho.PublishReceived, inFlight)
	maximum, packet := uint16(inFlight), uint32(maxPacket)
	connection, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: cfg.Brokers, TlsCfg: cfg.TLS, KeepAlive: keepAlive,
		SessionExpiryInterval: sessionExpiry,
		ConnectUsername:       cfg.User, ConnectPassword: []byte(cfg.Password),
		ReconnectBackoff: autopaho.NewConstantBackoff(retryAfter),
		ConnectPacketBuilder: func(connect *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			connect.Properties.ReceiveMaximum, connect.Properties.MaximumPacketSize = &maximum, &packet
			return connect, nil
		},
		OnConnectionUp: func(c *autopaho.ConnectionManager, _ *paho.Connack) {
			go subscribe(ctx, c, cfg.Subscriptions, log)
		},
		OnConnectError: func(err error) {
			log.ErrorContext(ctx, "MQTT broker not reached, trying again", "broker", cfg.Brokers[0].Host, "error", err)
		},
		ClientConfig: paho.ClientConfig{
			ClientID: cfg.ClientID, EnableManualAcknowledgment: true, SendAcksInterval: 10 * time.Millisecond,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
				select {
				case received <- p:
				case <-ctx.Done():
				}
				return true, nil
			}},
		},
	})
	if err != nil {
		return fmt.Errorf("listen to MQTT broker %s: %w", cfg.Brokers[0].Host, err)
	}
	err = work(ctx, cfg.Subscriptions, received, take)
	bye, done := context.WithTimeout(context.WithoutCancel(ctx), retryAfter)
	defer done()
	_ = connection.Disconnect(bye) // the broker keeps the session either way
	return err
}

func subscribe(ctx context.Context, c *autopaho.ConnectionManager, all []Subscription, log *slog.Logger) {
	request := &paho.Subscribe{}
	for i := range all {
		request.Subscriptions = append(request.Subscriptions, paho.SubscribeOptions{Topic: all[i].Filter, QoS: 1})
	}
	if _, err := c.Subscribe(ctx, request); err != nil && ctx.Err() == nil {
		log.ErrorContext(ctx, "MQTT broker refused a subscription", "error", err)
	}
}

// work takes what was received, all that waits at once, and acknowledges it.
func work(ctx context.Context, all []Subscription, received <-chan paho.PublishReceived, take Take) error {
	var (
		batch    []paho.PublishReceived
		messages []Message
	)
	for {
		batch, messages = batch[:0], messages[:0]
		select {
		case <-ctx.Done():
			return nil
		case first := <-received:
			batch = append(batch, first)
		}
		for more := true; more && len(batch) < inFlight; {
			select {
			case next := <-received:
				batch = append(batch, next)
			default:
				more = false
			}
		}
		for i := range batch {
			p := batch[i].Packet
			if s := matching(all, p.Topic); s != nil {
				messages = append(messages, Message{Subscription: s, Topic: p.Topic, Payload: p.Payload})
			}
		}
		if err := take(context.WithoutCancel(ctx), messages); err != nil {
			return fmt.Errorf("take %d messages of MQTT: %w", len(messages), err)
		}
		for i := range batch {
			_ = batch[i].Client.Ack(batch[i].Packet) // if the connection is gone, it comes again
		}
	}
}
