#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static uint32_t table[256];
static int table_ready;

static void build_table(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) {
            c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        }
        table[n] = c;
    }
    table_ready = 1;
}

uint32_t crc32_update(uint32_t crc, const void *data, size_t length) {
    const uint8_t *bytes = data;
    if (!table_ready) build_table();
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc = table[(crc ^ bytes[i]) & 255] ^ (crc >> 8);
    }
    return ~crc;
}

int crc32_file(const char *path, uint32_t *result) {
    uint8_t block[65536];
    size_t n;
    FILE *file = fopen(path, "rb");
    if (!file) return -1;
    uint32_t crc = 0;
    while ((n = fread(block, 1, sizeof block, file)) > 0) {
        crc = crc32_update(crc, block, n);
    }
    int failed = ferror(file);
    fclose(file);
    if (failed) return -1;
    *result = crc;
    return 0;
}
