#include <stdlib.h>
#include <string.h>

typedef struct {
    char *key;
    void *value;
} slot;

typedef struct {
    slot *slots;
    size_t capacity; /* a power of two */
    size_t count;
} hash_map;

static size_t hash_text(const char *s) {
    size_t h = 5381;
    while (*s) h = h * 33 + (unsigned char)*s++;
    return h;
}

static slot *probe(slot *slots, size_t capacity, const char *key) {
    size_t i = hash_text(key) & (capacity - 1);
    while (slots[i].key && strcmp(slots[i].key, key) != 0) {
        i = (i + 1) & (capacity - 1);
    }
    return &slots[i];
}

static int grow(hash_map *map) {
    size_t capacity = map->capacity ? map->capacity * 2 : 16;
    slot *fresh = calloc(capacity, sizeof *fresh);
    if (!fresh) return -1;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].key) *probe(fresh, capacity, map->slots[i].key) = map->slots[i];
    }
    free(map->slots);
    map->slots = fresh;
    map->capacity = capacity;
    return 0;
}

int map_put(hash_map *map, const char *key, void *value) {
    if (map->count * 4 >= map->capacity * 3 && grow(map) != 0) return -1;
    slot *place = probe(map->slots, map->capacity, key);
    if (!place->key) {
        place->key = strdup(key);
        map->count++;
    }
    place->value = value;
    return 0;
}

void *map_get(const hash_map *map, const char *key) {
    return map->capacity ? probe(map->slots, map->capacity, key)->value : NULL;
}
