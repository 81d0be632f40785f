#include <stddef.h>
#include <stdint.h>

static const char ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_size(size_t length) {
    return (length + 2) / 3 * 4;
}

void base64_encode(const uint8_t *in, size_t length, char *out) {
    for (size_t i = 0; i < length; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16;
        if (i + 1 < length) group |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < length) group |= in[i + 2];
        *out++ = ALPHABET[group >> 18 & 63];
        *out++ = ALPHABET[group >> 12 & 63];
        *out++ = i + 1 < length ? ALPHABET[group >> 6 & 63] : '=';
        *out++ = i + 2 < length ? ALPHABET[group & 63] : '=';
    }
    *out = '\0';
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

/* Returns the number of bytes written, or -1 for a wrong character. */
long base64_decode(const char *in, uint8_t *out) {
    uint32_t group = 0;
    int bits = 0;
    long written = 0;
    for (; *in && *in != '='; in++) {
        int v = value_of(*in);
        if (v < 0) return -1;
        group = group << 6 | (uint32_t)v;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[written++] = (uint8_t)(group >> bits & 255);
        }
    }
    return written;
}
