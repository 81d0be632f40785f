#include <stddef.h>
#include <stdint.h>

#define INVALID 0xFFFD

/* Reads one code point and moves the cursor; malformed input gives U+FFFD
 * and moves on by a single byte. */
uint32_t utf8_next(const uint8_t **cursor, const uint8_t *end) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = *cursor;
    uint8_t lead = *p;
    int length = lead < 0x80 ? 1
               : (lead & 0xE0) == 0xC0 ? 2
               : (lead & 0xF0) == 0xE0 ? 3
               : (lead & 0xF8) == 0xF0 ? 4 : 0;
    *cursor = p + 1;
    if (length == 1) return lead;
    if (length == 0 || end - p < length) return INVALID;
    uint32_t code = lead & (0x7F >> length);
    for (int i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) return INVALID;
        code = code << 6 | (p[i] & 0x3F);
    }
    if (code < least[length] || code > 0x10FFFF) return INVALID;
    if (code >= 0xD800 && code <= 0xDFFF) return INVALID;
    *cursor = p + length;
    return code;
}

size_t utf8_length(const uint8_t *text, size_t bytes) {
    const uint8_t *end = text + bytes;
    size_t count = 0;
    while (text < end) {
        utf8_next(&text, end);
        count++;
    }
    return count;
}

/* Largest prefix of at most max bytes that does not cut a character. */
size_t utf8_clip(const uint8_t *text, size_t bytes, size_t max) {
    if (bytes <= max) return bytes;
    while (max > 0 && (text[max] & 0xC0) == 0x80) max--;
    return max;
}
