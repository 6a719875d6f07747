/* One end of a connection: a socket, perhaps with TLS, and the bytes that were read or are to be
 * written. */
#ifndef PROXYLUA_GATEWAY_SIDE_H
#define PROXYLUA_GATEWAY_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "net/loop.h"

struct ssl_st;

struct queue {
  char *data; /* NULL while it is empty */
  size_t start, size, capacity;
};

bool queue_add(struct queue *queue, const void *bytes, size_t size);
void queue_drop(struct queue *queue, size_t size);
void queue_free(struct queue *queue);

static inline const char *queue_bytes(const struct queue *queue)
{
  return queue->data ? queue->data + queue->start : NULL;
}

struct side {
  struct loop_socket socket; /* fd -1: none */
  struct ssl_st *tls;        /* NULL: none */
  bool readable, writable;
  bool ending; /* its last byte has arrived, if not been read */
  bool ended;  /* its last byte was read */
  bool cut;    /* ... without the end that TLS asks for */
  bool hung;   /* its socket has failed, or is closed both ways */
  bool shut;   /* the end of output was sent to it */
  bool broken; /* nothing can be read or written any more */
  struct queue in, out;
};

/* Takes a non-blocking socket; `ready` as in loop_socket. False when it cannot be waited for; the
 * caller closes it with side_close in any case. */
bool side_open(struct side *side, struct loop *loop, int fd,
               void (*ready)(void *arg, struct loop_events events), void *arg);

/* `reset`: the other side sees that something was lost. Harmless for one without a socket. */
void side_close(struct side *side, struct loop *loop, bool reset);

/* What became ready. */
void side_ready(struct side *side, struct loop_events events);

/* Reads; 0 when there is nothing now, or it has `ended` or is `broken`. */
size_t side_read(struct side *side, char *bytes, size_t room);

/* Reads into `in` while that holds less than `most`; `scratch` has `room` bytes. False when memory
 * is out. */
bool side_fill(struct side *side, size_t most, char *scratch, size_t room);

/* Writes at once what the socket takes, behind what waits, and keeps the rest. False when memory is
 * out; a failure of the socket shows in `broken`. */
bool side_send(struct side *side, const void *bytes, size_t size);

/* Writes what waits. True when nothing is left. */
bool side_flush(struct side *side);

/* Says that there is no more, once nothing waits. */
void side_shut(struct side *side);

#endif
