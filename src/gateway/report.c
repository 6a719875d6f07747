#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/state.h"

#define MICROSECONDS 1e6

struct visit {
  const struct gateway *gateway;
  void (*visit)(void *arg, const struct gateway_row *row);
  void *arg;
  double now;
};

static void visit_row(void *arg, const struct pool_row *from)
{
  const struct visit *visit = arg;
  const struct proxy *proxy = list_find(visit->gateway, from->url);
  if (!proxy) return;
  struct gateway_row row = {
      .label = proxy->label,
      .url = proxy->url,
      .country = *proxy->country ? proxy->country : NULL,
      .requests = proxy->requests,
      .failures = proxy->failures,
      .sent = proxy->sent,
      .received = proxy->received,
      .open = proxy->open,
      .latency = from->latency,
      .left = from->until > visit->now ? from->until - visit->now : 0,
  };
  visit->visit(visit->arg, &row);
}

void gateway_each(const struct gateway *gateway,
                  void (*visit)(void *arg, const struct gateway_row *row), void *arg)
{
  const struct country *all = list_country(gateway, "");
  struct visit state = {gateway, visit, arg, (double)loop_clock() / MICROSECONDS};
  if (all) pool_each(all->pool, visit_row, &state);
}

/* A log that is not read does not hold up the connections: the line is dropped and counted. */
void report_write(struct gateway *gateway, const char *line, size_t size)
{
  struct pollfd ready = {.fd = gateway->options.log, .events = POLLOUT};
  if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT) ||
      write(gateway->options.log, line, size) != (ssize_t)size)
    gateway->totals.log_dropped++;
}

static bool add_text(struct buffer *out, const char *name, const char *text)
{
  struct buffer clean = {0};
  bool ok = buffer_print(out, ",\"%s\":", name) && buffer_add_utf8(&clean, text, strlen(text)) &&
            buffer_add_json(out, clean.data ? clean.data : "", clean.size);
  buffer_free(&clean);
  return ok;
}

static bool add_time(struct buffer *out, const struct conn *conn)
{
  struct timespec now;
  struct tm utc;
  char text[40];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return buffer_print(out, "{\"time\":\"%s.%03ldZ\",\"duration\":%.6f", text, now.tv_nsec / 1000000,
                      (double)(loop_clock() - conn->begun) / MICROSECONDS);
}

static bool write_line(const struct conn *conn, struct buffer *out)
{
  const struct proxy_head *head = &conn->head;
  char target[MAX_TARGET + 4];
  snprintf(target, sizeof target, "%s:%d", head->host, head->port);
  bool ok = add_time(out, conn) && add_text(out, "client", conn->peer) &&
            add_text(out, "protocol",
                     conn->socks     ? "socks5"
                     : head->connect ? "connect"
                                     : "http");
  if (head->credentials) ok = ok && add_text(out, "user", head->user);
  ok = ok && add_text(out, "target", target);
  if (conn->upstream) ok = ok && add_text(out, "proxy", conn->upstream->proxy->label);
  ok = ok && buffer_print(out, ",\"status\":%d", conn->status);
  if (conn->error) ok = ok && add_text(out, "error", conn->error);
  return ok && buffer_print(out, ",\"retried\":%s,\"sent\":%llu,\"received\":%llu}\n",
                            conn->retried ? "true" : "false", (unsigned long long)conn->sent,
                            (unsigned long long)conn->received);
}

void report_request(struct conn *conn)
{
  struct gateway *gateway = conn->gateway;
  struct buffer line = {0};
  if (gateway->options.log < 0 || conn->reported) return;
  conn->reported = true;
  if (write_line(conn, &line))
    report_write(gateway, line.data, line.size);
  else
    gateway->totals.log_dropped++;
  buffer_free(&line);
}

struct text {
  struct buffer out;
  const char *format;
  bool ok, first;
  double (*value)(const struct gateway_row *row);
};

static double requests_of(const struct gateway_row *row)
{
  return (double)row->requests;
}

static double failures_of(const struct gateway_row *row)
{
  return (double)row->failures;
}

static double sent_of(const struct gateway_row *row)
{
  return (double)row->sent;
}

static double received_of(const struct gateway_row *row)
{
  return (double)row->received;
}

static double open_of(const struct gateway_row *row)
{
  return row->open;
}

static double quarantine_of(const struct gateway_row *row)
{
  return row->left;
}

static void add_sample(void *arg, const struct gateway_row *row)
{
  struct text *text = arg;
  struct buffer label = {0};
  /* A JSON string has the escapes that a label may have, and a label holds no others. */
  text->ok = text->ok && buffer_add_utf8(&label, row->label, strlen(row->label)) &&
             buffer_print(&text->out, "%s{proxy=", text->format) &&
             buffer_add_json(&text->out, label.data, label.size) &&
             buffer_print(&text->out, "} %.15g\n", text->value(row));
  buffer_free(&label);
}

static bool write_prometheus(const struct gateway *gateway, struct text *text)
{
  static const struct {
    const char *name, *type, *help;
    double (*value)(const struct gateway_row *row);
  } rows[] = {{"proxylua_proxy_requests_total", "counter", "Requests and tunnels.", requests_of},
              {"proxylua_proxy_failures_total", "counter",
               "Requests that failed because of the proxy.", failures_of},
              {"proxylua_proxy_sent_bytes_total", "counter", "Bytes to the proxy.", sent_of},
              {"proxylua_proxy_received_bytes_total", "counter", "Bytes from the proxy.",
               received_of},
              {"proxylua_proxy_connections", "gauge", "Open connections.", open_of},
              {"proxylua_proxy_quarantine_seconds", "gauge", "Time until the proxy is used again.",
               quarantine_of}};
  const struct gateway_totals totals = gateway_count(gateway);
  const struct {
    const char *name, *type;
    uint64_t value;
  } all[] = {{"connections_total", "counter", totals.connections},
             {"requests_total", "counter", totals.requests},
             {"refused_total", "counter", totals.refused},
             {"failed_total", "counter", totals.failed},
             {"retried_total", "counter", totals.retried},
             {"sent_bytes_total", "counter", totals.sent},
             {"received_bytes_total", "counter", totals.received},
             {"log_lines_dropped_total", "counter", totals.log_dropped},
             {"accept_pauses_total", "counter", totals.accept_pauses},
             {"connections", "gauge", (uint64_t)totals.open},
             {"proxies", "gauge", (uint64_t)totals.proxies}};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    text->ok = text->ok && buffer_print(&text->out,
                                        "# TYPE proxylua_gateway_%s %s\n"
                                        "proxylua_gateway_%s %llu\n",
                                        all[i].name, all[i].type, all[i].name,
                                        (unsigned long long)all[i].value);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    text->ok = text->ok && buffer_print(&text->out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name,
                                        rows[i].help, rows[i].name, rows[i].type);
    text->format = rows[i].name;
    text->value = rows[i].value;
    gateway_each(gateway, add_sample, text);
  }
  return text->ok;
}

static void add_json_row(void *arg, const struct gateway_row *row)
{
  struct text *text = arg;
  struct buffer label = {0};
  text->ok = text->ok && buffer_add_utf8(&label, row->label, strlen(row->label)) &&
             buffer_add_text(&text->out, text->first ? "{\"proxy\":" : ",{\"proxy\":") &&
             buffer_add_json(&text->out, label.data, label.size);
  if (row->country) text->ok = text->ok && add_text(&text->out, "country", row->country);
  if (row->latency >= 0)
    text->ok = text->ok && buffer_print(&text->out, ",\"latency\":%.6f", row->latency);
  text->ok = text->ok &&
             buffer_print(&text->out,
                          ",\"requests\":%llu,\"failures\":%llu,\"sent\":%llu,\"received\":%llu,"
                          "\"open\":%d,\"quarantine\":%.1f}",
                          (unsigned long long)row->requests, (unsigned long long)row->failures,
                          (unsigned long long)row->sent, (unsigned long long)row->received,
                          row->open, row->left);
  text->first = false;
  buffer_free(&label);
}

static bool write_json(const struct gateway *gateway, struct text *text)
{
  const struct gateway_totals totals = gateway_count(gateway);
  text->first = true;
  text->ok =
      buffer_print(&text->out,
                   "{\"connections\":%llu,\"requests\":%llu,\"refused\":%llu,\"failed\":%llu,"
                   "\"retried\":%llu,"
                   "\"sent\":%llu,\"received\":%llu,\"open\":%d,\"proxies\":[",
                   (unsigned long long)totals.connections, (unsigned long long)totals.requests,
                   (unsigned long long)totals.refused, (unsigned long long)totals.failed,
                   (unsigned long long)totals.retried, (unsigned long long)totals.sent,
                   (unsigned long long)totals.received, totals.open);
  gateway_each(gateway, add_json_row, text);
  return text->ok && buffer_add_text(&text->out, "]}\n");
}

void report_metrics(struct conn *conn, const char *path)
{
  bool json = strcmp(path, "/stats") == 0;
  struct text text = {.ok = true};
  char head[200];
  if (!json && strcmp(path, "/metrics") != 0) {
    inbound_refuse(conn, 404, "http_request_error", "there are /metrics and /stats");
    return;
  }
  bool ok = json ? write_json(conn->gateway, &text) : write_prometheus(conn->gateway, &text);
  int size = snprintf(head, sizeof head,
                      "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                      "Connection: close\r\n\r\n",
                      json ? "application/json" : "text/plain; version=0.0.4; charset=utf-8",
                      text.out.size);
  ok = ok && side_send(&conn->client, head, (size_t)size) &&
       side_send(&conn->client, text.out.data, text.out.size);
  buffer_free(&text.out);
  if (!ok) conn_end(conn, true);
  inbound_close(conn);
}
