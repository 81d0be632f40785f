package cache

import (
	"container/list"
	"sync"
)

type entry struct {
	key   string
	value []byte
}

// SizedLRU is limited by the sum of value sizes, not by the number of entries.
type SizedLRU struct {
	mu       sync.Mutex
	maxBytes int
	used     int
	order    *list.List
	items    map[string]*list.Element
}

func NewSizedLRU(maxBytes int) *SizedLRU {
	return &SizedLRU{maxBytes: maxBytes, order: list.New(), items: map[string]*list.Element{}}
}

// Get moves the entry to the front of the recency list.
func (c *SizedLRU) Get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.items[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(el)
	return el.Value.(*entry).value, true
}

// Set stores value and drops old entries until everything fits.
func (c *SizedLRU) Set(key string, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.items[key]; ok {
		c.removeElement(el)
	}
	if len(value) > c.maxBytes {
		return
	}
	c.items[key] = c.order.PushFront(&entry{key, value})
	c.used += len(value)
	for c.used > c.maxBytes {
		c.removeElement(c.order.Back())
	}
}

func (c *SizedLRU) removeElement(el *list.Element) {
	e := c.order.Remove(el).(*entry)
	delete(c.items, e.key)
	c.used -= len(e.value)
}
