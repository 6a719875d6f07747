#include "plugin/frame.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define HEAD sizeof(uint32_t)
#define CHUNK ((size_t)256 << 10) /* bytes of one read */
#define KEPT ((size_t)1 << 20)    /* a buffer that is larger is given back when it is empty */

static void settle(struct buffer *buffer, size_t *done)
{
  if (*done < buffer->size) return;
  *done = buffer->size = 0;
  if (buffer->capacity > KEPT) buffer_free(buffer);
}

bool channel_begin(struct channel *channel)
{
  static const char head[HEAD];
  channel->message = channel->out.size;
  return channel->out.size - channel->written <= CHANNEL_BACKLOG &&
         buffer_add(&channel->out, head, HEAD);
}

void channel_drop(struct channel *channel)
{
  channel->out.size = channel->message;
}

bool channel_finish(struct channel *channel)
{
  size_t size = channel->out.size - channel->message - HEAD;
  uint32_t head = (uint32_t)size;
  if (size > CHANNEL_MOST) {
    channel_drop(channel);
    return false;
  }
  memcpy(channel->out.data + channel->message, &head, HEAD);
  return true;
}

enum channel_state channel_flush(struct channel *channel)
{
  while (channel->written < channel->out.size) {
    ssize_t put = write(channel->socket, channel->out.data + channel->written,
                        channel->out.size - channel->written);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno == EAGAIN ? CHANNEL_FULL : CHANNEL_CLOSED;
    channel->written += (size_t)put;
  }
  settle(&channel->out, &channel->written);
  return CHANNEL_OPEN;
}

/* Room at the end: what was dealt with makes way first. */
static bool make_room(struct channel *channel)
{
  struct buffer *in = &channel->in;
  settle(in, &channel->read);
  if (channel->read > 0 && in->capacity - in->size <= CHUNK) {
    memmove(in->data, in->data + channel->read, in->size - channel->read);
    in->size -= channel->read;
    channel->read = 0;
  }
  return buffer_reserve(in, CHUNK);
}

enum channel_state channel_fill(struct channel *channel)
{
  if (!make_room(channel)) return CHANNEL_BROKEN;
  ssize_t got;
  do got = read(channel->socket, channel->in.data + channel->in.size, CHUNK);
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return CHANNEL_OPEN;
  if (got <= 0) return CHANNEL_CLOSED;
  channel->in.size += (size_t)got;
  return CHANNEL_OPEN;
}

const char *channel_next(struct channel *channel, size_t *size, enum channel_state *state)
{
  uint32_t head;
  size_t there = channel->in.size - channel->read;
  *state = CHANNEL_OPEN;
  if (there < HEAD) return NULL;
  const char *at = channel->in.data + channel->read;
  memcpy(&head, at, HEAD);
  if (head > CHANNEL_MOST) *state = CHANNEL_BROKEN;
  if (head > CHANNEL_MOST || there - HEAD < head) return NULL;
  channel->read += HEAD + head;
  *size = head;
  return at + HEAD;
}

void channel_free(struct channel *channel)
{
  buffer_free(&channel->in);
  buffer_free(&channel->out);
}
