#include "base/plain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the character at a place, and its code; 0 for a byte that begins none. */
static size_t read_character(const unsigned char *at, uint32_t *code)
{
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t size = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
  if (size == 0 || at[0] > 0xF4) return 0;
  *code = size == 1 ? at[0] : at[0] & (0x7Fu >> size);
  for (size_t i = 1; i < size; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0; /* a NUL too */
    *code = *code << 6 | (at[i] & 0x3F);
  }
  return *code >= smallest[size] && *code <= 0x10FFFF ? size : 0;
}

static bool is_deceptive(uint32_t code)
{
  static const struct {
    uint32_t first, last;
  } ranges[] = {{0, 8},           {0xB, 0x1F},      {0x7F, 0x9F},      {0x61C, 0x61C},
                {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},  {0xD800, 0xDFFF},
                {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE0FFF}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (code >= ranges[i].first && code <= ranges[i].last) return true;
  return false;
}

void plain_lines(char *text)
{
  unsigned char *from = (unsigned char *)text, *to = from;
  while (*from) {
    uint32_t code;
    size_t size = read_character(from, &code);
    if (size == 0 || is_deceptive(code)) {
      *to++ = '?';
      from += size > 0 ? size : 1;
    } else {
      for (; size > 0; size--) *to++ = *from++;
    }
  }
  *to = '\0';
}

void plain_print(const char *text)
{
  char *copy = strdup(text);
  if (copy) plain_lines(copy);
  fprintf(stderr, "proxylua: %s\n", copy ? copy : "out of memory");
  free(copy);
}
