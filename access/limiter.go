package access

import (
	"sync"
	"time"
)

const (
	// failureBurst wrong secrets in a row are a person's mistakes; more is a
	// program's guessing.
	failureBurst = 10
	// failureRate is how many further ones a second are looked at: six a
	// minute.
	failureRate = 0.1
	// maxKeys bounds a limiter's memory to some hundred kilobytes. Beyond it
	// unknown keys share one bucket.
	maxKeys = 4096
)

// Limiter lets each key do something at a rate, with bursts. It is safe for
// concurrent use and bounded in memory.
type Limiter struct {
	rate, burst float64
	now         func() time.Time

	mu      sync.Mutex
	buckets map[string]bucket
	swept   time.Time
}

// bucket is what a key may still do, as of a time.
type bucket struct {
	left float64
	at   time.Time
}

// NewLimiter makes a limiter of rate a second with bursts of burst.
func NewLimiter(rate, burst float64, now func() time.Time) *Limiter {
	return &Limiter{rate: rate, burst: burst, now: now, buckets: map[string]bucket{}}
}

// Take takes one from the key's bucket and says whether there was one.
func (l *Limiter) Take(key string) bool { return l.take(key, 1) }

// Empty says whether the key's bucket holds less than one.
func (l *Limiter) Empty(key string) bool { return !l.take(key, 0) }

func (l *Limiter) take(key string, n float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if _, known := l.buckets[key]; !known && len(l.buckets) >= maxKeys {
		l.forget(now)
		if len(l.buckets) >= maxKeys {
			key = ""
		}
	}
	left := l.left(key, now)
	if left < 1 {
		return false
	}
	if n > 0 {
		l.buckets[key] = bucket{left: left - n, at: now}
	}
	return true
}

// left is what the key's bucket holds at now.
func (l *Limiter) left(key string, now time.Time) float64 {
	b, known := l.buckets[key]
	if !known {
		return l.burst
	}
	return min(l.burst, b.left+now.Sub(b.at).Seconds()*l.rate)
}

// forget drops the buckets that are full again: they say nothing. It looks
// once a second, so that a flood of new keys stays cheap.
func (l *Limiter) forget(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for key := range l.buckets {
		if l.left(key, now) >= l.burst {
			delete(l.buckets, key)
		}
	}
}

// Len is how many keys the limiter remembers.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}
