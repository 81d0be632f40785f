package limit

import (
	"sync"
	"time"
)

// TokenBucket allows bursts up to its capacity and refills at a steady rate.
type TokenBucket struct {
	mu       sync.Mutex
	capacity float64
	perSec   float64
	tokens   float64
	last     time.Time
	clock    func() time.Time
}

func NewTokenBucket(perSec, capacity float64) *TokenBucket {
	return &TokenBucket{capacity: capacity, perSec: perSec, tokens: capacity, last: time.Now(), clock: time.Now}
}

// Take removes n tokens or reports that there are not enough.
func (b *TokenBucket) Take(n float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	if b.tokens < n {
		return false
	}
	b.tokens -= n
	return true
}

// WaitTime tells how long a caller must wait until n tokens are there.
func (b *TokenBucket) WaitTime(n float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	missing := n - b.tokens
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / b.perSec * float64(time.Second))
}

func (b *TokenBucket) refill() {
	now := b.clock()
	b.tokens += now.Sub(b.last).Seconds() * b.perSec
	if b.tokens > b.capacity {
		b.tokens = b.capacity
	}
	b.last = now
}
