package mqtt

import "testing"

func TestATopicMeetsAFilter(t *testing.T) {
	t.Parallel()
	// The examples of MQTT 5, 4.7.1, and some more.
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"#", "a/b", true},
		{"#", "$SYS/uptime", false},
		{"$SYS/#", "$SYS/uptime", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"a/b", "a/b/c", false},
		{"a/b/c", "a/b", false},
		{"$share/group/a/+", "a/b", true},
	} {
		if got := matches(test.filter, test.topic); got != test.want {
			t.Errorf("%s and %s: %v", test.filter, test.topic, got)
		}
	}
	for filter, right := range map[string]bool{"a/+/b": true, "a/#": true, "#": true, "a#": false, "a/#/b": false, "a+": false, "": false} {
		if err := CheckFilter(filter); (err == nil) != right {
			t.Errorf("filter %q: %v", filter, err)
		}
	}
}
