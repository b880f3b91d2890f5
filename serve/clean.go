package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/fleet"
)

// cleaner decodes and cleans the readings of requests, by the same code as
// the topic's (V2).
type cleaner struct {
	fleet    *fleet.Fleet
	decoders sync.Pool
}

func newCleaner(f *fleet.Fleet) *cleaner {
	return &cleaner{fleet: f, decoders: sync.Pool{New: func() any { return fleet.NewDecoder(f) }}}
}

// payload is a request's reading as the topic carries it: with its machine's
// id.
func payload(m drumbeat.MachineID, reading json.RawMessage) ([]byte, error) {
	body, isObject := bytes.CutPrefix(bytes.TrimSpace(reading), []byte("{"))
	if !isObject {
		return nil, refused("a reading must be a JSON object of sensor values with a timestamp")
	}
	id, err := json.Marshal(string(m))
	if err != nil {
		return nil, fmt.Errorf("write machine id: %w", err)
	}
	out := append([]byte(`{"machine_id":`), id...)
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("}")) {
		out = append(out, ',')
	}
	return append(out, body...), nil
}

// clean turns a payload into the machine's reading, cleaned by V1 to V5.
func (c *cleaner) clean(m drumbeat.MachineID, payload []byte) (*drumbeat.Item, error) {
	decoder, ok := c.decoders.Get().(*fleet.Decoder)
	if !ok {
		decoder = fleet.NewDecoder(c.fleet)
	}
	defer c.decoders.Put(decoder)
	items, err := decoder.Decode(fleet.Form{}, payload, nil)
	if err != nil {
		return nil, refused(err.Error())
	}
	if len(items) != 1 || items[0].Kind != drumbeat.KindReading {
		return nil, refused("it must be one reading")
	}
	item := &items[0]
	if item.Machine != m {
		return nil, refused(fmt.Sprintf("it names machine %q, the request %q", item.Machine, m))
	}
	item.EventTime = item.EventTime.Cut()
	if sensor := c.fleet.Clean(item); sensor >= 0 {
		return nil, refused(c.fleet.Sensors[sensor].Name + " is out of its range, and the fleet file rejects such readings")
	}
	return item, nil
}

// refused is the answer to a reading that cannot be used; it was not
// recorded.
func refused(why string) error {
	return &access.Problem{
		Status: http.StatusUnprocessableEntity, Title: "reading not accepted", Detail: why,
		Next: "correct it and send it again; nothing was recorded",
	}
}

// arrival is when a request's reading arrives (T6), or why it cannot (T5).
func (at moment) arrival(item *drumbeat.Item) (drumbeat.Time, error) {
	now := at.Clock.Now()
	if at.Fleet.Clock == fleet.ClockWall {
		now = drumbeat.At(at.now())
	}
	arrival, fault := at.Fleet.Arrives(item.EventTime, now, at.Champion.View.Horizon())
	if fault != "" {
		return 0, refused(fault)
	}
	return arrival, nil
}
