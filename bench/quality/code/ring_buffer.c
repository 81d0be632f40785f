#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* One producer, one consumer. The capacity must be a power of two. */
typedef struct {
    uint8_t *bytes;
    size_t mask;
    size_t head; /* next place to write */
    size_t tail; /* next place to read */
} ring_buffer;

bool ring_init(ring_buffer *ring, size_t capacity) {
    if (capacity == 0 || (capacity & (capacity - 1)) != 0) return false;
    ring->bytes = malloc(capacity);
    ring->mask = capacity - 1;
    ring->head = ring->tail = 0;
    return ring->bytes != NULL;
}

size_t ring_used(const ring_buffer *ring) {
    return ring->head - ring->tail;
}

size_t ring_free(const ring_buffer *ring) {
    return ring->mask + 1 - ring_used(ring);
}

/* Writes as much as fits and returns how much that was. */
size_t ring_write(ring_buffer *ring, const uint8_t *data, size_t length) {
    size_t room = ring_free(ring);
    if (length > room) length = room;
    for (size_t i = 0; i < length; i++) {
        ring->bytes[(ring->head + i) & ring->mask] = data[i];
    }
    ring->head += length;
    return length;
}

size_t ring_read(ring_buffer *ring, uint8_t *out, size_t length) {
    size_t used = ring_used(ring);
    if (length > used) length = used;
    for (size_t i = 0; i < length; i++) {
        out[i] = ring->bytes[(ring->tail + i) & ring->mask];
    }
    ring->tail += length;
    return length;
}

void ring_destroy(ring_buffer *ring) {
    free(ring->bytes);
    ring->bytes = NULL;
}
