#include "base/text.h"

#include <string.h>

int text_hex_digit(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_escaped_unit(const char *text)
{
  int unit = 0;
  if (text[0] != '\\' || text[1] != 'u') return -1;
  for (int i = 2; i < 6 && unit >= 0; i++) {
    int digit = text_hex_digit(text[i]);
    unit = digit < 0 ? -1 : unit * 16 + digit;
  }
  return unit;
}

unsigned text_of_pair(unsigned high, unsigned low)
{
  return 0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00);
}

char *text_put_utf8(char *to, unsigned character)
{
  static const unsigned char leads[] = {0, 0xC0, 0xE0, 0xF0};
  int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  *to++ = (char)(leads[more] | character >> (6 * more));
  while (more-- > 0) *to++ = (char)(0x80 | (character >> (6 * more) & 0x3F));
  return to;
}

bool text_is_unreserved(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

char *text_put_percent(char *to, const char *text, size_t size, const char *plain)
{
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (text_is_unreserved(text[i]) || (c != 0 && strchr(plain, c))) {
      *to++ = text[i];
    } else {
      *to++ = '%';
      *to++ = hex[c >> 4];
      *to++ = hex[c & 15];
    }
  }
  return to;
}
