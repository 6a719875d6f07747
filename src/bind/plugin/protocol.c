#include "bind/plugin/protocol.h"

#include <string.h>

#include "bind/plugin/marshal.h"

#define HEAD (1 + sizeof(uint32_t))

static bool put_head(struct buffer *out, enum message_kind kind, uint32_t number)
{
  char head[HEAD] = {(char)kind};
  memcpy(head + 1, &number, sizeof number);
  return buffer_add(out, head, sizeof head);
}

const char *message_put(lua_State *L, struct channel *channel, enum message_kind kind,
                        uint32_t number, int first, int last)
{
  const char *why = NULL;
  if (!channel_begin(channel) || !put_head(&channel->out, kind, number))
    why = "more than the other side has room for";
  else
    why = value_write(L, first, last, &channel->out);
  if (why)
    channel_drop(channel);
  else if (!channel_finish(channel))
    why = "more than a message can hold (16 MiB)";
  return why;
}

bool message_read(const char *bytes, size_t size, struct message *message)
{
  if (size < HEAD || !strchr("cnrex", bytes[0]) || !bytes[0]) return false;
  message->kind = (enum message_kind)bytes[0];
  memcpy(&message->number, bytes + 1, sizeof message->number);
  message->bytes = bytes + HEAD;
  message->size = size - HEAD;
  return true;
}
