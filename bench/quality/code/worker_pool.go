package pool

import (
	"context"
	"fmt"
	"sync"
)

type Task func(ctx context.Context) error

// Run executes tasks with at most workers goroutines and stops handing out
// work after the first error, which it returns.
func Run(ctx context.Context, workers int, tasks []Task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	feed := make(chan Task)
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	fail := func(err error) {
		once.Do(func() {
			first = err
			cancel()
		})
	}
	for i := 0; i < workers; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for task := range feed {
				if err := guarded(ctx, task); err != nil {
					fail(err)
				}
			}
		}()
	}
loop:
	for _, task := range tasks {
		select {
		case feed <- task:
		case <-ctx.Done():
			break loop
		}
	}
	close(feed)
	wg.Wait()
	if first == nil {
		return ctx.Err()
	}
	return first
}

// guarded turns a panic of the task into an error.
func guarded(ctx context.Context, task Task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("task panicked: %v", r)
		}
	}()
	return task(ctx)
}
