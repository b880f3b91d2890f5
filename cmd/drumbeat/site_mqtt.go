package main

import (
	"context"
	"fmt"
	"net/url"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleet/strict"
	posted "drumbeat/ingest/http"
	"drumbeat/ingest/mqtt"
	"drumbeat/topic"
)

// maxSubscriptions bounds the section's list.
const maxSubscriptions = 100

// readMQTT reads the site file's `mqtt:`: a broker whose messages are taken.
func readMQTT(v strict.Value) *mqtt.Config {
	if !v.Exists() {
		return nil
	}
	m := v.Map()
	defer m.Close()
	cfg := &mqtt.Config{ClientID: m.Get("client_id").Text("drumbeat"), User: m.Get("user").Text("")}
	brokers := m.Need("brokers")
	for _, text := range brokers.Texts(maxBrokers) {
		address, err := url.Parse(text)
		if err != nil || address.Host == "" || address.Scheme != "mqtt" && address.Scheme != "mqtts" {
			brokers.Faultf("%q: want mqtt://host:1883 or mqtts://host:8883", text)
			continue
		}
		cfg.Brokers = append(cfg.Brokers, address)
	}
	if brokers.Exists() && len(cfg.Brokers) == 0 {
		brokers.Faultf("names no broker")
	}
	cfg.Password = readSecret(m, "password")
	cfg.TLS = readTLS(m.Get("tls"))
	for _, element := range m.Need("subscriptions").List(maxSubscriptions) {
		cfg.Subscriptions = append(cfg.Subscriptions, readSubscription(element))
	}
	return cfg
}

func readSubscription(v strict.Value) mqtt.Subscription {
	m := v.Map()
	defer m.Close()
	filter := m.Need("topic")
	s := mqtt.Subscription{Filter: filter.Text(""), Fleet: m.Get("fleet").Text(""), Type: m.Get("type").Text(fleet.TypeReading)}
	if err := mqtt.CheckFilter(s.Filter); err != nil && filter.Exists() {
		filter.Faultf("%s", err)
	}
	return s
}

// followMQTT takes the messages of the site's MQTT broker until ctx ends.
func (h *host) followMQTT(ctx context.Context) error {
	for i := range h.file.mqtt.Subscriptions {
		s := &h.file.mqtt.Subscriptions[i]
		d, err := h.daemon(drumbeat.FleetName(s.Fleet))
		if err != nil {
			return fmt.Errorf("%s: mqtt: subscription to %s: %w", siteName, s.Filter, err)
		}
		if d.arrivalNow() == drumbeat.NoTime {
			return fmt.Errorf("take messages of MQTT for fleet %s: its time has not begun (clock: data): "+
				"import its history first, or say clock: wall in fleet.yaml: %w", d.def.Name, drumbeat.ErrInvalid)
		}
		s.Fleet = string(d.def.Name)
	}
	return mqtt.Run(ctx, *h.file.mqtt, h.takeMessages, h.log)
}

// takeMessages writes messages to their fleets' topics: a record a machine,
// and what cannot be read as it came, so that it is a dead letter with its
// reason.
func (h *host) takeMessages(ctx context.Context, messages []mqtt.Message) error {
	byFleet := map[*daemon][]topic.Record{}
	for i := range messages {
		m := &messages[i]
		d, err := h.daemon(drumbeat.FleetName(m.Fleet))
		if err != nil {
			return err
		}
		byFleet[d] = append(byFleet[d], d.recordsOfMessage(m)...)
	}
	for d, records := range byFleet {
		if err := d.writer.Write(ctx, records); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) recordsOfMessage(m *mqtt.Message) []topic.Record {
	now := d.arrivalNow()
	arrival := func(event drumbeat.Time) (drumbeat.Time, string) {
		if at, fault := d.arrives(event); fault == "" {
			return at, ""
		}
		return now, "" // what is wrong with it, the judge says
	}
	all := func(drumbeat.MachineID) bool { return true } // an unknown one is a dead letter
	request := posted.Request{Type: m.Type, Body: m.Payload, Arrival: arrival}
	records, _, err := posted.NewReader(d.def, d.telemetry.Name, all).Read(&request)
	if err != nil {
		return []topic.Record{{Topic: d.telemetry.Name, Key: m.Topic, Value: m.Payload, Type: m.Type, Time: now}}
	}
	return records
}
