/* Messages over a socket: four bytes of length, then the message. Input is not trusted, and its
 * size is bounded. Works with blocking and non-blocking sockets. */
#ifndef PROXYLUA_PLUGIN_FRAME_H
#define PROXYLUA_PLUGIN_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

#define CHANNEL_MOST ((size_t)16 << 20)    /* bytes of a message */
#define CHANNEL_BACKLOG ((size_t)64 << 20) /* bytes that wait for the other side to read */

struct channel {
  int socket;
  struct buffer in, out;
  size_t read, written; /* bytes of each that were processed */
  size_t message;       /* where the message that is being written began */
};

enum channel_state {
  CHANNEL_OPEN,
  CHANNEL_FULL,   /* the rest of what is to be written has to wait */
  CHANNEL_CLOSED, /* by the other side */
  CHANNEL_BROKEN  /* a message that is too large, or no memory for one */
};

/* A message is written straight into the buffer: begin, add bytes to channel->out, and finish.
 * False when it is too large, or too many wait already; then nothing of it is left. */
bool channel_begin(struct channel *channel);
bool channel_finish(struct channel *channel);
void channel_drop(struct channel *channel);

/* Writes what there is: all of it to a socket that blocks. */
enum channel_state channel_flush(struct channel *channel);

/* Reads once what is there, or waits for something on a socket that blocks. */
enum channel_state channel_fill(struct channel *channel);

/* The next whole message, valid until the next fill; NULL when none is there, or when `state` says
 * that it is broken. */
const char *channel_next(struct channel *channel, size_t *size, enum channel_state *state);

void channel_free(struct channel *channel);

#endif
