/* What a plugin's process sends: frames in pieces of any size, and the values in them. */
#include <lauxlib.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bind/plugin/marshal.h"
#include "plugin/frame.h"
#include "spec/support/fuzz.h"

/* Stack: the message as a string. */
static int read_values(lua_State *L)
{
  size_t size;
  const char *bytes = lua_tolstring(L, 1, &size);
  value_read(L, bytes, size, NULL);
  return 0;
}

static void read_message(const char *message, size_t size)
{
  lua_State *L = fuzz_state();
  lua_pushcfunction(L, read_values);
  lua_pushlstring(L, message, size);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) abort();
  lua_settop(L, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  int sockets[2];
  struct channel channel = {0};
  enum channel_state state = CHANNEL_OPEN;
  if (size > 32768 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) != 0) return 0;
  channel.socket = sockets[0];
  size_t piece = size > 0 ? 1 + data[0] : 1;
  for (size_t at = 0; at < size && state == CHANNEL_OPEN; at += piece) {
    size_t count = size - at < piece ? size - at : piece, length;
    if (write(sockets[1], data + at, count) != (ssize_t)count) abort();
    state = channel_fill(&channel);
    for (const char *message; (message = channel_next(&channel, &length, &state));)
      read_message(message, length);
  }
  channel_free(&channel);
  close(sockets[0]);
  close(sockets[1]);
  return 0;
}
