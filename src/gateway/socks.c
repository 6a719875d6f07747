#include "gateway/socks.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

enum { IPV4 = 1, NAME = 3, IPV6 = 4 };

int socks_read_greeting(const char *bytes, size_t size, bool *without_login, bool *with_login)
{
  *without_login = *with_login = false;
  if (size < 2) return 0;
  size_t methods = (unsigned char)bytes[1];
  if (bytes[0] != 5 || methods == 0) return -1;
  if (size < 2 + methods) return 0;
  *without_login = memchr(bytes + 2, 0, methods) != NULL;
  *with_login = memchr(bytes + 2, 2, methods) != NULL;
  return (int)(2 + methods);
}

/* A text with its size before it; the position behind it, or 0 when it is incomplete. */
static size_t read_text(const char *bytes, size_t size, size_t at, char text[256])
{
  if (at >= size) return 0;
  size_t length = (unsigned char)bytes[at];
  if (at + 1 + length > size) return 0;
  memcpy(text, bytes + at + 1, length);
  text[length] = '\0';
  return at + 1 + length;
}

int socks_read_login(const char *bytes, size_t size, char user[256], char password[256])
{
  if (size < 1) return 0;
  if (bytes[0] != 1) return -1;
  size_t at = read_text(bytes, size, 1, user), user_end = at;
  if (at) at = read_text(bytes, size, at, password);
  if (!at) return 0;
  bool plain = strlen(user) == user_end - 2 && strlen(password) == at - user_end - 1;
  return plain ? (int)at : -1;
}

/* As in an authority: what else a name could hold would be read differently behind us. */
static bool is_name(const char *host, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    char c = host[i];
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
          (c && strchr("-._:", c))))
      return false;
  }
  return size > 0;
}

int socks_read_request(const char *bytes, size_t size, char host[256], int *port,
                       enum socks_reply *refusal)
{
  *refusal = SOCKS_GRANTED;
  if (size < 5) return 0;
  if (bytes[0] != 5 || bytes[2] != 0) return -1;
  size_t length = bytes[3] == IPV4 ? 4 : bytes[3] == IPV6 ? 16 : 1 + (size_t)(uint8_t)bytes[4];
  if (bytes[3] != IPV4 && bytes[3] != IPV6 && bytes[3] != NAME) {
    *refusal = SOCKS_NO_ADDRESS_TYPE;
    return (int)size;
  }
  if (size < 4 + length + 2) return 0;
  if (bytes[3] == NAME) {
    if (!is_name(bytes + 5, length - 1)) return -1;
    memcpy(host, bytes + 5, length - 1);
    host[length - 1] = '\0';
  } else {
    inet_ntop(bytes[3] == IPV4 ? AF_INET : AF_INET6, bytes + 4, host, 256);
  }
  const unsigned char *end = (const unsigned char *)bytes + 4 + length;
  *port = end[0] << 8 | end[1];
  if (bytes[1] != 1) *refusal = SOCKS_NO_COMMAND;
  if (*port == 0) return -1;
  return (int)(4 + length + 2);
}

size_t socks_write_login(char out[SOCKS_MAX], const char *user, const char *password)
{
  size_t first = strlen(user), second = strlen(password);
  if (first > 255 || second > 255) return 0;
  out[0] = 1;
  out[1] = (char)first;
  memcpy(out + 2, user, first);
  out[2 + first] = (char)second;
  memcpy(out + 3 + first, password, second);
  return 3 + first + second;
}

static size_t write_port(char *out, size_t at, int port)
{
  out[at] = (char)(port >> 8);
  out[at + 1] = (char)port;
  return at + 2;
}

size_t socks_write_request(char out[SOCKS_MAX], const char *host, int port)
{
  size_t size = strlen(host);
  out[0] = 5;
  out[1] = 1;
  out[2] = 0;
  if (inet_pton(AF_INET, host, out + 4) == 1) {
    out[3] = IPV4;
    return write_port(out, 8, port);
  }
  if (inet_pton(AF_INET6, host, out + 4) == 1) {
    out[3] = IPV6;
    return write_port(out, 20, port);
  }
  out[3] = NAME;
  out[4] = (char)size;
  memcpy(out + 5, host, size);
  return write_port(out, 5 + size, port);
}

size_t socks4_write_request(char out[SOCKS_MAX], const char *host, int port, const char *user)
{
  static const char absent[4] = {0, 0, 0, 1}; /* a name follows */
  size_t at = strlen(user) + 1, size = strlen(host);
  if (strchr(host, ':') || at > 256) return 0;
  bool literal = inet_pton(AF_INET, host, out + 4) == 1;
  out[0] = 4;
  out[1] = 1;
  write_port(out, 2, port);
  if (!literal) memcpy(out + 4, absent, sizeof absent);
  memcpy(out + 8, user, at);
  at += 8;
  if (literal) return at;
  memcpy(out + at, host, size + 1);
  return at + size + 1;
}

int socks_read_reply(const char *bytes, size_t size, int *reply)
{
  if (size < 1) return 0;
  if (bytes[0] == 0) { /* SOCKS 4 */
    if (size < 8) return 0;
    *reply = bytes[1] == 90 ? 0 : (unsigned char)bytes[1];
    return 8;
  }
  if (size < 5) return bytes[0] == 5 ? 0 : -1;
  if (bytes[0] != 5) return -1;
  *reply = (unsigned char)bytes[1];
  size_t length = bytes[3] == IPV4 ? 4 : bytes[3] == IPV6 ? 16 : 1 + (size_t)(uint8_t)bytes[4];
  if (bytes[3] != IPV4 && bytes[3] != IPV6 && bytes[3] != NAME) return *reply ? (int)size : -1;
  return size < 4 + length + 2 ? 0 : (int)(4 + length + 2);
}
