/* What a plugin and its parent say to each other: a kind, the number of the call that it is about,
 * and values. Either side may call the other; each counts its own calls. */
#ifndef PROXYLUA_BIND_PLUGIN_PROTOCOL_H
#define PROXYLUA_BIND_PLUGIN_PROTOCOL_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "plugin/frame.h"

enum message_kind {
  MESSAGE_CALL = 'c',   /* what to do, and its arguments */
  MESSAGE_NOTE = 'n',   /* a call without a response; its number is 0 */
  MESSAGE_RESULT = 'r', /* the values of a call that went well */
  MESSAGE_ERROR = 'e',  /* the error of one that did not */
  MESSAGE_CANCEL = 'x'  /* the caller does not wait for this call any more */
};

struct message {
  enum message_kind kind;
  uint32_t number;
  const char *bytes; /* of its values (bind/plugin/marshal.h) */
  size_t size;
};

/* Adds a message with the values at the indices from `first` to `last` to what is to be written.
 * NULL, or why that cannot be; then nothing of it is left. Raises nothing. */
const char *message_put(lua_State *L, struct channel *channel, enum message_kind kind,
                        uint32_t number, int first, int last);

/* Takes a message apart. False when it is none. */
bool message_read(const char *bytes, size_t size, struct message *message);

#endif
