package mqtt

import (
	"fmt"
	"strings"

	"drumbeat"
)

// matching returns the first subscription whose filter a topic meets.
func matching(all []Subscription, topic string) *Subscription {
	for i := range all {
		if matches(all[i].Filter, topic) {
			return &all[i]
		}
	}
	return nil
}

// matches says whether a topic meets a filter: + is one level, # at the end
// any number (MQTT 5, 4.7). Topics that begin with $ are met by their name
// only.
func matches(filter, topic string) bool {
	if group, shared := strings.CutPrefix(filter, "$share/"); shared {
		_, filter, _ = strings.Cut(group, "/")
	}
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		level, rest, more := strings.Cut(filter, "/")
		if level == "#" {
			return true
		}
		have, below, deeper := strings.Cut(topic, "/")
		if level != "+" && level != have {
			return false
		}
		if !more || !deeper {
			return more == deeper || more && rest == "#"
		}
		filter, topic = rest, below
	}
}

// CheckFilter says what is wrong with a topic filter.
func CheckFilter(filter string) error {
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if strings.Contains(level, "#") && (level != "#" || i < len(levels)-1) || strings.Contains(level, "+") && level != "+" {
			return fmt.Errorf("topic filter %q: + stands for a whole level, # for all that follow: %w", filter, drumbeat.ErrInvalid)
		}
	}
	if filter == "" || len(filter) > 1024 || strings.ContainsRune(filter, 0) {
		return fmt.Errorf("topic filter %q: want at most 1024 bytes: %w", filter, drumbeat.ErrInvalid)
	}
	return nil
}
