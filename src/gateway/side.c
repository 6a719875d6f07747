#include "gateway/side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/tls.h"

bool queue_add(struct queue *queue, const void *bytes, size_t size)
{
  if (size == 0) return true;
  if (queue->start > 0 && queue->start + queue->size + size > queue->capacity) {
    memmove(queue->data, queue->data + queue->start, queue->size);
    queue->start = 0;
  }
  if (queue->size + size > queue->capacity) {
    size_t capacity = queue->size + size;
    char *data = realloc(queue->data, capacity);
    if (!data) return false;
    queue->data = data;
    queue->capacity = capacity;
  }
  memcpy(queue->data + queue->start + queue->size, bytes, size);
  queue->size += size;
  return true;
}

void queue_drop(struct queue *queue, size_t size)
{
  queue->start += size;
  queue->size -= size;
  if (queue->size == 0) queue_free(queue);
}

/* An idle connection holds no buffer. */
void queue_free(struct queue *queue)
{
  free(queue->data);
  *queue = (struct queue){0};
}

bool side_open(struct side *side, struct loop *loop, int fd,
               void (*ready)(void *arg, struct loop_events events), void *arg)
{
  *side = (struct side){.socket = {.fd = fd, .ready = ready, .arg = arg}};
  return loop_add_socket(loop, &side->socket);
}

void side_close(struct side *side, struct loop *loop, bool reset)
{
  if (side->socket.fd >= 0) {
    struct linger now = {.l_onoff = 1};
    if (reset) setsockopt(side->socket.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    loop_remove_socket(loop, &side->socket);
    close(side->socket.fd);
  }
  tls_free(side->tls);
  queue_free(&side->in);
  queue_free(&side->out);
  *side = (struct side){.socket.fd = -1};
}

/* TLS may read in order to write, and the other way round. */
void side_ready(struct side *side, struct loop_events events)
{
  side->hung |= events.failed;
  side->ending |= events.ended || events.failed;
  side->readable |= events.input || events.failed || (side->tls && events.output);
  side->writable |= events.output || events.failed || (side->tls && events.input);
}

static size_t read_tls(struct side *side, char *bytes, size_t room)
{
  size_t size;
  enum tls_result result = tls_read(side->tls, bytes, room, &size);
  if (result == TLS_DONE) return size;
  if (result == TLS_WAIT) {
    side->readable = false;
    return 0;
  }
  side->ended = true;
  side->cut = result == TLS_CUT;
  side->broken = result == TLS_BROKEN;
  return 0;
}

size_t side_read(struct side *side, char *bytes, size_t room)
{
  if (side->ended || side->broken || !side->readable) return 0;
  if (side->tls) return read_tls(side, bytes, room);
  ssize_t size;
  do size = recv(side->socket.fd, bytes, room, 0);
  while (size < 0 && errno == EINTR);
  if (size > 0) return (size_t)size;
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    side->readable = false;
  else
    side->ended = true;
  if (size < 0 && side->ended) side->broken = true;
  return 0;
}

bool side_fill(struct side *side, size_t most, char *scratch, size_t room)
{
  size_t size;
  while (side->in.size < most) {
    size_t wanted = most - side->in.size < room ? most - side->in.size : room;
    if ((size = side_read(side, scratch, wanted)) == 0) break;
    if (!queue_add(&side->in, scratch, size)) return false;
    if (size < wanted && !side->tls && !side->ending) break; /* more raises another event */
  }
  return true;
}

static size_t write_some(struct side *side, const char *bytes, size_t size)
{
  if (side->broken || side->shut || !side->writable) return 0;
  if (side->tls) {
    size_t sent;
    enum tls_result result = tls_write(side->tls, bytes, size, &sent);
    if (result == TLS_DONE) return sent;
    side->writable = false;
    side->broken = result != TLS_WAIT;
    return 0;
  }
  ssize_t written;
  do written = send(side->socket.fd, bytes, size, MSG_NOSIGNAL);
  while (written < 0 && errno == EINTR);
  if (written >= 0) return (size_t)written;
  side->writable = false;
  if (errno != EAGAIN && errno != EWOULDBLOCK) side->broken = true;
  return 0;
}

bool side_flush(struct side *side)
{
  while (side->out.size > 0) {
    size_t written = write_some(side, queue_bytes(&side->out), side->out.size);
    if (written == 0) break;
    queue_drop(&side->out, written);
  }
  return side->out.size == 0;
}

bool side_send(struct side *side, const void *bytes, size_t size)
{
  const char *from = bytes;
  if (side->broken) return true; /* its reader is gone */
  if (side_flush(side)) {
    size_t written;
    while (size > 0 && (written = write_some(side, from, size)) > 0) {
      from += written;
      size -= written;
    }
  }
  return queue_add(&side->out, from, size);
}

void side_shut(struct side *side)
{
  if (side->shut || side->broken || side->out.size > 0) return;
  side->shut = true;
  if (side->tls) tls_shut(side->tls);
  shutdown(side->socket.fd, SHUT_WR);
}
