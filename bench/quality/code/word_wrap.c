#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Length of the next word starting at text. */
static size_t word_length(const char *text) {
    size_t n = 0;
    while (text[n] && !isspace((unsigned char)text[n])) n++;
    return n;
}

/* Writes text to out so that no line is longer than width, unless a single
 * word is. Every line begins with indent spaces. Returns the number of lines. */
int wrap_text(FILE *out, const char *text, size_t width, int indent) {
    size_t column = 0;
    int lines = 0;
    while (*text) {
        while (isspace((unsigned char)*text)) text++;
        size_t n = word_length(text);
        if (n == 0) break;
        if (column == 0 || column + 1 + n > width) {
            if (lines++ > 0) fputc('\n', out);
            fprintf(out, "%*s", indent, "");
            column = (size_t)indent;
        } else {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, n, out);
        column += n;
        text += n;
    }
    if (lines > 0) fputc('\n', out);
    return lines;
}

/* Cuts the string in place and puts three dots at its end. */
void ellipsize(char *text, size_t max) {
    if (strlen(text) <= max || max < 3) return;
    strcpy(text + max - 3, "...");
}
