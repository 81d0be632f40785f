package retry

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

var ErrExhausted = errors.New("retry: attempts exhausted")

type Policy struct {
	Attempts int
	Wait     time.Duration
}

func Do(ctx context.Context, p Policy, call func(context.Context) (*http.Response, error)) (*http.Response, error) {
	for i := 0; i < p.Attempts; i++ {
		res, err := call(ctx)
		if err == nil && !retryable(res.StatusCode) {
			return res, nil
		}
		wait := p.Wait
		if err == nil {
			if after, ok := retryAfter(res.Header); ok {
				wait = after
			}
			res.Body.Close()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
	return nil, ErrExhausted
}

func retryable(status int) bool {
	return status == http.StatusTooManyRequests || status >= 500
}

func retryAfter(h http.Header) (time.Duration, bool) {
	raw := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(raw); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(raw); err == nil {
		return time.Until(at), true
	}
	return 0, false
}
