/* What a list of proxies may be packed in: gzip, UTF-16, base64; and the set that finds those that
 * are there twice. */
#include <arpa/inet.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zlib.h>

#include "base/text.h"
#include "bind/box.h"
#include "bind/error.h"
#include "bind/modules.h"

#define GUNZIP "proxylua.gunzip"
#define PIECE ((size_t)1 << 16) /* bytes that are unpacked at once */
#define WITH_GZIP_HEADER 31     /* of inflateInit2 */

struct gunzip {
  z_stream stream;
  bool begun, done; /* done: a member has ended */
  unsigned char *input;
};

static struct gunzip *check_gunzip(lua_State *L)
{
  struct gunzip *gunzip = luaL_checkudata(L, 1, GUNZIP);
  if (!gunzip->begun) error_usage(L, "the decompressor is closed");
  return gunzip;
}

static int push_packed(lua_State *L)
{
  struct gunzip *gunzip = check_gunzip(L);
  size_t size, before = gunzip->stream.avail_in;
  const char *text = luaL_checklstring(L, 2, &size);
  if (size == 0) return 0;
  unsigned char *input = malloc(before + size);
  if (!input) return luaL_error(L, "not enough memory");
  if (before > 0) memcpy(input, gunzip->stream.next_in, before);
  memcpy(input + before, text, size);
  free(gunzip->input);
  gunzip->input = gunzip->stream.next_in = input;
  gunzip->stream.avail_in = (uInt)(before + size);
  return 0;
}

/* Another member may follow the one that has ended. */
static int continue_with_member(lua_State *L, struct gunzip *gunzip)
{
  if (!gunzip->done || gunzip->stream.avail_in == 0) return 0;
  if (inflateReset(&gunzip->stream) != Z_OK) return error_usage(L, "the gzip data is damaged");
  gunzip->done = false;
  return 0;
}

static int pull_unpacked(lua_State *L)
{
  struct gunzip *gunzip = check_gunzip(L);
  luaL_Buffer out;
  unsigned char *bytes = (unsigned char *)luaL_buffinitsize(L, &out, PIECE);
  continue_with_member(L, gunzip);
  gunzip->stream.next_out = bytes;
  gunzip->stream.avail_out = PIECE;
  int code = gunzip->done ? Z_BUF_ERROR : inflate(&gunzip->stream, Z_NO_FLUSH);
  if (code == Z_STREAM_END) gunzip->done = true;
  if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
    return error_usage(L, "the gzip data is damaged (%s)",
                       gunzip->stream.msg ? gunzip->stream.msg : "no reason known");
  size_t size = PIECE - gunzip->stream.avail_out;
  luaL_pushresultsize(&out, size);
  bool more = code == Z_STREAM_END && gunzip->stream.avail_in > 0;
  if (size == 0 && !more) lua_pushnil(L);
  return 1;
}

static int finish_unpacking(lua_State *L)
{
  const struct gunzip *gunzip = check_gunzip(L);
  if (gunzip->done && gunzip->stream.avail_in == 0) return 0;
  lua_pushliteral(L, "the gzip data ends too early");
  return 1;
}

static int close_gunzip(lua_State *L)
{
  struct gunzip *gunzip = luaL_checkudata(L, 1, GUNZIP);
  if (gunzip->begun) inflateEnd(&gunzip->stream);
  free(gunzip->input);
  *gunzip = (struct gunzip){0};
  return 0;
}

static int open_gunzip(lua_State *L)
{
  static const luaL_Reg methods[] = {{"push", push_packed},        {"pull", pull_unpacked},
                                     {"finish", finish_unpacking}, {"close", close_gunzip},
                                     {"__gc", close_gunzip},       {NULL, NULL}};
  struct gunzip *gunzip = box_push(L, sizeof *gunzip, GUNZIP, NULL, methods);
  if (inflateInit2(&gunzip->stream, WITH_GZIP_HEADER) != Z_OK)
    return luaL_error(L, "not enough memory");
  gunzip->begun = true;
  return 1;
}

static unsigned unit_at(const unsigned char *text, bool big)
{
  return big ? (unsigned)text[0] << 8 | text[1] : (unsigned)text[1] << 8 | text[0];
}

#define REPLACEMENT 0xFFFD /* for half of a pair */

static int read_utf16(lua_State *L)
{
  size_t size, at = 0;
  const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &size);
  bool big = lua_toboolean(L, 2);
  luaL_Buffer out;
  char *begin = luaL_buffinitsize(L, &out, size * 2 + 4), *to = begin;
  while (size - at >= 2) {
    unsigned code = unit_at(text + at, big);
    if (code >= 0xD800 && code < 0xDC00) {
      if (size - at < 4) break;
      unsigned low = unit_at(text + at + 2, big);
      bool pair = low >= 0xDC00 && low < 0xE000;
      code = pair ? text_of_pair(code, low) : REPLACEMENT;
      at += pair ? 2 : 0;
    } else if (code >= 0xDC00 && code < 0xE000) {
      code = REPLACEMENT;
    }
    to = text_put_utf8(to, code);
    at += 2;
  }
  luaL_pushresultsize(&out, (size_t)(to - begin));
  lua_pushlstring(L, (const char *)text + at, size - at);
  return 2;
}

static int value_of(unsigned char c)
{
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

static bool is_skipped(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int read_base64(lua_State *L)
{
  size_t size, at = 0;
  const char *text = luaL_checklstring(L, 1, &size);
  luaL_Buffer out;
  char *begin = luaL_buffinitsize(L, &out, size + 4), *to = begin;
  unsigned bits = 0;
  int count = 0, digits = 0;
  for (; at < size && text[at] != '='; at++) {
    if (is_skipped(text[at])) continue;
    int value = value_of((unsigned char)text[at]);
    if (value < 0) return 0;
    bits = bits << 6 | (unsigned)value;
    count += 6;
    digits++;
    if (count < 8) continue;
    count -= 8;
    *to++ = (char)(bits >> count & 0xFF);
  }
  for (; at < size; at++)
    if (text[at] != '=' && !is_skipped(text[at])) return 0;
  if (digits % 4 == 1) return 0;
  luaL_pushresultsize(&out, (size_t)(to - begin));
  return 1;
}

#define SEEN "proxylua.seen"
#define FIRST_CAPACITY 1024 /* a power of two */

/* Two keyed hashes of 64 bits: that two of a thousand million texts share both is out of reach. A
 * digest of zero is stored as one. */
struct seen {
  uint64_t key[2];
  uint64_t (*slots)[2]; /* {0, 0}: free */
  size_t capacity, count;
};

static uint64_t mix(uint64_t hash)
{
  hash ^= hash >> 32;
  hash *= 0xD6E8FEB86659FD93u;
  hash ^= hash >> 32;
  hash *= 0xD6E8FEB86659FD93u;
  return hash ^ hash >> 32;
}

static uint64_t digest(const char *text, size_t size, uint64_t key)
{
  uint64_t hash = mix(key ^ size), word;
  for (; size >= sizeof word; size -= sizeof word, text += sizeof word) {
    memcpy(&word, text, sizeof word);
    hash = mix(hash ^ word) + key;
  }
  word = 0;
  if (size > 0) memcpy(&word, text, size);
  return mix(hash ^ word);
}

static uint64_t *find_slot(uint64_t (*slots)[2], size_t capacity, const uint64_t wanted[2])
{
  size_t at = wanted[0] & (capacity - 1);
  while ((slots[at][0] || slots[at][1]) && (slots[at][0] != wanted[0] || slots[at][1] != wanted[1]))
    at = (at + 1) & (capacity - 1);
  return slots[at];
}

static bool grow(struct seen *seen)
{
  size_t capacity = seen->capacity ? seen->capacity * 2 : FIRST_CAPACITY;
  uint64_t(*slots)[2] = calloc(capacity, sizeof *slots);
  if (!slots) return false;
  for (size_t i = 0; i < seen->capacity; i++) {
    if (!seen->slots[i][0] && !seen->slots[i][1]) continue;
    uint64_t *slot = find_slot(slots, capacity, seen->slots[i]);
    slot[0] = seen->slots[i][0];
    slot[1] = seen->slots[i][1];
  }
  free(seen->slots);
  seen->slots = slots;
  seen->capacity = capacity;
  return true;
}

static int add_seen(lua_State *L)
{
  struct seen *seen = luaL_checkudata(L, 1, SEEN);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  uint64_t wanted[2] = {digest(text, size, seen->key[0]) | 1, digest(text, size, seen->key[1])};
  if (seen->count * 4 >= seen->capacity * 3 && !grow(seen))
    return luaL_error(L, "not enough memory");
  uint64_t *slot = find_slot(seen->slots, seen->capacity, wanted);
  bool new = !slot[0];
  slot[0] = wanted[0];
  slot[1] = wanted[1];
  seen->count += new;
  lua_pushboolean(L, new);
  return 1;
}

static int count_seen(lua_State *L)
{
  const struct seen *seen = luaL_checkudata(L, 1, SEEN);
  lua_pushinteger(L, (lua_Integer)seen->count);
  return 1;
}

static int close_seen(lua_State *L)
{
  struct seen *seen = luaL_checkudata(L, 1, SEEN);
  free(seen->slots);
  seen->slots = NULL;
  seen->capacity = seen->count = 0;
  return 0;
}

static int open_seen(lua_State *L)
{
  static const luaL_Reg methods[] = {{"add", add_seen},
                                     {"count", count_seen},
                                     {"__gc", close_seen},
                                     {NULL, NULL}};
  struct seen *seen = box_push(L, sizeof *seen, SEEN, NULL, methods);
  /* A key that an attacker cannot know keeps the set fast; without one it is only slower. */
  if (getrandom(seen->key, sizeof seen->key, 0) != sizeof seen->key)
    seen->key[0] = (uint64_t)(uintptr_t)seen;
  seen->key[1] |= 1;
  return 1;
}

static int is_ipv4(lua_State *L)
{
  struct in_addr address;
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_pushboolean(L, strlen(text) == size && inet_pton(AF_INET, text, &address) == 1);
  return 1;
}

void decode_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"gunzip", open_gunzip}, {"utf16", read_utf16},
                                       {"base64", read_base64}, {"seen", open_seen},
                                       {"is_ipv4", is_ipv4},    {NULL, NULL}};
  luaL_newlib(L, functions);
}
