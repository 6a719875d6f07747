#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "gateway/state.h"

#define MICROSECONDS 1e6

static void on_client(void *arg, struct loop_events events)
{
  struct conn *conn = arg;
  side_ready(&conn->client, events);
  conn_advance(conn);
}

struct conn *conn_open(struct gateway *gateway, int fd, const char *peer, bool metrics)
{
  struct conn *conn = calloc(1, sizeof *conn);
  if (!conn) {
    close(fd);
    return NULL;
  }
  conn->gateway = gateway;
  conn->metrics = metrics;
  conn->state = metrics ? HEAD : FIRST;
  snprintf(conn->peer, sizeof conn->peer, "%s", peer);
  DL_APPEND(gateway->conns, conn);
  gateway->conn_count++;
  gateway->totals.connections++;
  if (!side_open(&conn->client, gateway->loop, fd, on_client, conn)) {
    conn_free(conn, false);
    return NULL;
  }
  conn_wait(conn, HEAD_SECONDS);
  return conn;
}

void conn_free(struct conn *conn, bool reset)
{
  struct gateway *gateway = conn->gateway;
  if (conn->state >= TARGET && conn->state <= TUNNEL) report_request(conn);
  upstream_release(conn, false, reset);
  loop_timer_clear(gateway->loop, &conn->timer);
  loop_timer_clear(gateway->loop, &conn->again);
  side_close(&conn->client, gateway->loop, reset);
  buffer_free(&conn->head.origin);
  if (conn->tried) list_release(gateway, conn->tried);
  DL_DELETE(gateway->conns, conn);
  gateway->conn_count--;
  free(conn);
  accept_some(gateway);
}

void conn_end(struct conn *conn, bool reset)
{
  conn->gone = true;
  conn->reset |= reset;
}

void conn_advance(struct conn *conn)
{
  enum state before;
  if (conn->entered) return;
  conn->entered = true;
  do {
    before = conn->state;
    if (conn->gone) break;
    if (conn->state == EXCHANGE || conn->state == TUNNEL)
      relay_step(conn);
    else if (conn->state >= TARGET && conn->state <= LEADING)
      upstream_step(conn);
    else
      inbound_step(conn);
  } while (conn->state != before);
  conn->entered = false;
  if (conn->gone) conn_free(conn, conn->reset);
}

static void expire(struct conn *conn)
{
  switch (conn->state) {
    case TARGET:
      conn_fail(conn, 504, "dns_timeout", "the name of the target cannot be looked up in time");
      break;
    case LOOKUP:
    case CONNECTING:
    case SECURING:
      choose_failed(conn, "connection_timeout", true, "the proxy does not accept the connection");
      break;
    case LEADING:
      choose_failed(conn, "connection_read_timeout", true, "the proxy does not respond");
      break;
    case EXCHANGE:
      if (!conn->replied)
        choose_failed(conn, "http_response_timeout", true, "no response came through the proxy");
      else
        conn_end(conn, true);
      break;
    default:
      conn_end(conn, conn->state == TUNNEL);
  }
}

/* A deadline that was put off meanwhile is waited for again. */
static void on_time(void *arg)
{
  struct conn *conn = arg;
  int64_t left = conn->deadline - loop_clock();
  if (left > 0) {
    if (!loop_timer_set(conn->gateway->loop, &conn->timer, left, on_time, conn))
      conn_end(conn, true);
  } else {
    expire(conn);
  }
  conn_advance(conn);
}

void conn_wait(struct conn *conn, double seconds)
{
  struct loop *loop = conn->gateway->loop;
  int64_t delay = (int64_t)(seconds * MICROSECONDS);
  conn->deadline = loop_now(loop) + delay;
  if (conn->timer.position && conn->timer.due <= conn->deadline) return;
  if (!loop_timer_set(loop, &conn->timer, delay, on_time, conn)) conn_end(conn, true);
}

void conn_fail(struct conn *conn, int status, const char *error, const char *details)
{
  if (conn->gone) return;
  conn->status = status;
  conn->error = error;
  report_request(conn);
  upstream_release(conn, false, true);
  if (conn->replied)
    conn_end(conn, true);
  else
    inbound_refuse(conn, status, error, details);
}
