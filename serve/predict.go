package serve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"drumbeat"
	"drumbeat/access"
)

// PredictInput asks POST /v1/predict.
type PredictInput struct {
	OfFleet
	Body struct {
		Machine drumbeat.MachineID `json:"machine" minLength:"1" maxLength:"200"`

		Reading json.RawMessage `json:"reading,omitempty" doc:"An object of sensor values with a timestamp"`
		Record  *bool           `json:"record,omitempty" doc:"Keep the reading, as if the machine had sent it: the default"`
		Explain bool            `json:"explain,omitempty" doc:"Say why"`
	}
}

// PredictOutput answers it.
type PredictOutput struct {
	Body Answer
}

// Answer is a prediction with what a request adds to it.
type Answer struct {
	drumbeat.Prediction
	// Recorded is where the reading stands in the topic.
	Recorded *drumbeat.Position `json:"recorded,omitempty"`
	// Explanation is every feature's part; with the bias they make the margin.
	Explanation *Explanation `json:"explanation,omitempty"`
}

// BatchInput asks POST /v1/predict/batch.
type BatchInput struct {
	OfFleet
	Body struct {
		Machines []drumbeat.MachineID `json:"machines" minItems:"1" maxItems:"1000"`
		Explain  bool                 `json:"explain,omitempty"`
	}
}

// BatchOutput answers it.
type BatchOutput struct {
	Body struct {
		Answers []BatchAnswer `json:"answers" doc:"In the order asked"`
	}
}

// BatchAnswer is one machine's answer in a batch: a prediction, or why there
// is none.
type BatchAnswer struct {
	Machine drumbeat.MachineID `json:"machine"`
	*Answer
	Problem *access.Problem `json:"problem,omitempty"`
}

func (a *API) addPredict() {
	Add(a, access.Viewer, huma.Operation{
		OperationID: "predict", Method: http.MethodPost, Path: "/v1/predict", Tags: []string{"predictions"},
		Summary: "How likely a machine fails within the horizon",
		Description: "Without a reading: as of the machine's newest. With one: as of its time, counted once whether " +
			"or not it came by the topic as well; it is recorded and may open an alert, which needs the role " +
			"technician, unless record is false.",
	}, 0, func(ctx context.Context, in *PredictInput) (*PredictOutput, error) {
		at, err := a.moment(in.OfFleet)
		if err != nil {
			return nil, err
		}
		answer, err := at.predict(ctx, in)
		if err != nil {
			return nil, err
		}
		at.count(answer)
		return &PredictOutput{Body: *answer}, nil
	})
	Add(a, access.Viewer, huma.Operation{
		OperationID: "predict-batch", Method: http.MethodPost, Path: "/v1/predict/batch", Tags: []string{"predictions"},
		Summary: "The same for many machines, as of the newest reading of each",
	}, 0, a.predictBatch)
}

func (at moment) predict(ctx context.Context, in *PredictInput) (*Answer, error) {
	if len(in.Body.Reading) == 0 || string(in.Body.Reading) == "null" {
		records, err := at.Online.Read(ctx, at.Champion.View.Hash, []drumbeat.MachineID{in.Body.Machine}, false)
		if err != nil {
			return nil, fmt.Errorf("read machine %s: %w", in.Body.Machine, err)
		}
		return at.query(in.Body.Machine, &records[0].Vector, in.Body.Explain)
	}
	return at.predictReading(ctx, in)
}

// query predicts as of t0, the newest reading.
func (at moment) query(m drumbeat.MachineID, v *drumbeat.Vector, explain bool) (*Answer, error) {
	if err := at.usable(m, v); err != nil {
		return nil, err
	}
	return at.answer(v, Asked{Purpose: drumbeat.PurposeQuery}, explain)
}

// usable says why a machine's newest vector cannot be used, nil if it can.
func (at moment) usable(m drumbeat.MachineID, v *drumbeat.Vector) error {
	if v.Values == nil {
		if err := at.known(m); err != nil {
			return err
		}
		return &access.Problem{
			Status: http.StatusConflict, Title: "no reading yet",
			Detail: fmt.Sprintf("machine %q is known, but no reading of it has been counted", m),
			Next:   "wait for its first reading to arrive",
		}
	}
	if now := at.Clock.Now(); at.Champion.View.OutsideMaxAge(v.AsOf, now) { // P3
		return &access.Problem{
			Status: http.StatusConflict, Title: "outside max age",
			Detail: fmt.Sprintf("machine %q was last heard of at %s; at %s that is older than the view's ttl of %s",
				m, v.AsOf, now, at.Champion.View.TTL),
			Next: "see why the machine is silent, or send a reading",
		}
	}
	return nil
}

// answer predicts from a vector.
func (at moment) answer(v *drumbeat.Vector, asked Asked, explain bool) (*Answer, error) {
	answer := &Answer{Prediction: at.Score(v, asked)}
	if explain {
		e := at.Explain(v)
		answer.Explanation = &e
		answer.Reasons = e.Reasons[:min(maxReasons, len(e.Reasons))]
	}
	return answer, nil
}

// predictReading predicts as of a reading that the request brings (S2).
func (at moment) predictReading(ctx context.Context, in *PredictInput) (*Answer, error) {
	m := in.Body.Machine
	record := in.Body.Record == nil || *in.Body.Record
	if person := access.PersonOf(ctx); record && !person.Role.May(access.Technician) {
		return nil, &access.Problem{
			Status: http.StatusForbidden, Title: "not allowed to record a reading",
			Detail: fmt.Sprintf("a recorded reading needs the role technician; %s is %s", person.Name, person.Role),
			Next:   `send "record": false to ask without recording it`,
		}
	}
	text, err := payload(m, in.Body.Reading)
	if err != nil {
		return nil, err
	}
	item, err := at.cleaner.clean(m, text)
	if err != nil {
		return nil, err
	}
	if item.ArrivalTime, err = at.arrival(item); err != nil {
		return nil, err
	}
	records, err := at.Online.Read(ctx, at.Champion.View.Hash, []drumbeat.MachineID{m}, true)
	if err != nil {
		return nil, fmt.Errorf("read machine %s: %w", m, err)
	}
	if records[0].Vector.Values == nil {
		if err := at.known(m); err != nil {
			return nil, err
		}
	}
	var recorded *drumbeat.Position
	id := ""
	if record {
		position, err := at.Record(ctx, m, text, item.ArrivalTime)
		if err != nil {
			return nil, fmt.Errorf("record reading of %s: %w", m, err)
		}
		recorded, id = &position, position.String()
	}
	answer, err := at.folded(&records[0], item, id, in.Body.Explain)
	if err != nil {
		return nil, err
	}
	answer.Recorded = recorded
	if err := at.keep(ctx, &answer.Prediction); err != nil {
		return nil, err
	}
	return answer, nil
}

// keep sees to it that a live prediction reaches the alert store: one above
// the threshold before anybody hears of it, any other when there is time (S4).
func (d *desk) keep(ctx context.Context, p *drumbeat.Prediction) error {
	if p.Purpose != drumbeat.PurposeLive {
		return nil
	}
	if p.Alarm {
		if err := d.Publish(ctx, []drumbeat.Prediction{*p}); err != nil {
			return fmt.Errorf("keep prediction of %s: %w", p.Machine, err)
		}
		return nil
	}
	select {
	case d.queue <- *p:
	default:
		d.metrics.dropped.WithLabelValues(string(d.Fleet.Name)).Inc()
	}
	return nil
}

// count counts an answer.
func (d *desk) count(answer *Answer) {
	d.metrics.predictions.WithLabelValues(string(d.Fleet.Name), string(answer.Purpose), strconv.FormatBool(answer.Alarm)).Inc()
}

// known says that a machine exists, or which come nearest.
func (d *desk) known(m drumbeat.MachineID) error {
	if known := d.Machines(); !contains(known, m) {
		return notKnown(m, known)
	}
	return nil
}

func contains(known []Known, m drumbeat.MachineID) bool {
	_, found := slices.BinarySearchFunc(known, m, func(k Known, id drumbeat.MachineID) int { return cmp.Compare(k.ID, id) })
	return found
}

// readingID names a reading that is not in the topic by its content.
func readingID(payload []byte) string {
	sum := sha256.Sum256(payload)
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// predictBatch answers for many machines at once.
func (a *API) predictBatch(ctx context.Context, in *BatchInput) (*BatchOutput, error) {
	at, err := a.moment(in.OfFleet)
	if err != nil {
		return nil, err
	}
	records, err := at.Online.Read(ctx, at.Champion.View.Hash, in.Body.Machines, false)
	if err != nil {
		return nil, fmt.Errorf("read %d machines: %w", len(in.Body.Machines), err)
	}
	var out BatchOutput
	out.Body.Answers = make([]BatchAnswer, len(records))
	for i, m := range in.Body.Machines {
		answer, err := at.query(m, &records[i].Vector, in.Body.Explain)
		out.Body.Answers[i] = BatchAnswer{Machine: m, Answer: answer}
		if err != nil {
			var problem *access.Problem
			if err := a.problem(ctx, "predict-batch", err); errors.As(err, &problem) {
				out.Body.Answers[i].Problem = problem
			}
			continue
		}
		at.count(answer)
	}
	return &out, nil
}
