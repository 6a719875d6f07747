/* Characters of texts: hexadecimal digits, UTF-8, percent-encoding. */
#ifndef PROXYLUA_BASE_TEXT_H
#define PROXYLUA_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The value of a hexadecimal digit, -1 for any other byte. */
int text_hex_digit(char c);

/* The UTF-16 unit of an escape such as \ud83d at `text`, which ends with a NUL; -1 when there is
 * not one. */
int text_escaped_unit(const char *text);

/* The character of two units, of which the first is 0xD800 to 0xDBFF and the second 0xDC00 to
 * 0xDFFF. */
unsigned text_of_pair(unsigned high, unsigned low);

/* Writes a character as 1 to 4 bytes of UTF-8, and returns their end. */
char *text_put_utf8(char *to, unsigned character);

/* Whether a URL has the byte as it is: letters, digits and - . _ ~ */
bool text_is_unreserved(char c);

/* Writes a text percent-encoded, at most three times as long, and returns its end. Bytes of `plain`
 * stay as they are too. */
char *text_put_percent(char *to, const char *text, size_t size, const char *plain);

#endif
