package topictest_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"drumbeat/topic"
	"drumbeat/topic/topictest"
)

// TestABrokerThatRefusesWhatEventHubsLacks runs a broker that answers
// transactions, topic settings and compressed batches with a refusal.
func TestABrokerThatRefusesWhatEventHubsLacks(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	refuse(cluster)
	cfg := topic.Config{Brokers: cluster.ListenAddrs()}
	topictest.RunEventHubs(t, cfg)
	t.Run("which a writer with transactions is told", func(t *testing.T) {
		if w, err := topic.NewTxnWriter(t.Context(), cfg, "stream"); err == nil {
			w.Close()
			t.Error("it began: the broker refuses nothing, and the test shows nothing")
		}
	})
}

func refuse(cluster *kfake.Cluster) {
	code := kerr.UnsupportedForMessageFormat.Code
	cluster.ControlKey(int16(kmsg.InitProducerID), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		init := req.(*kmsg.InitProducerIDRequest)
		if init.TransactionalID == nil {
			return nil, nil, false
		}
		resp := init.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		return resp, nil, true
	})
	cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		create := req.(*kmsg.CreateTopicsRequest)
		resp := create.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range create.Topics {
			if len(asked.Configs) > 0 {
				answer := kmsg.NewCreateTopicsResponseTopic()
				answer.Topic, answer.ErrorCode = asked.Topic, kerr.PolicyViolation.Code
				resp.Topics = append(resp.Topics, answer)
			}
		}
		return resp, nil, len(resp.Topics) > 0
	})
	cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		produce := req.(*kmsg.ProduceRequest)
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		refused := false
		for _, t := range produce.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				var batch kmsg.RecordBatch
				if err := batch.ReadFrom(p.Records); err == nil && batch.Attributes&7 != 0 {
					refused = true
				}
				answer := kmsg.NewProduceResponseTopicPartition()
				answer.Partition, answer.ErrorCode = p.Partition, code
				topic.Partitions = append(topic.Partitions, answer)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, refused
	})
}
