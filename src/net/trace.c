#include "net/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/trust.h"

struct trace {
  int fd;
  bool failed;
  size_t (*scrub)(const void *secret, char *bytes, size_t size);
  const void *secret;
  char *path;
  struct buffer line;
};

struct trace *trace_open(const char *path,
                         size_t (*scrub)(const void *secret, char *bytes, size_t size),
                         const void *secret, struct error *err)
{
  struct trace *trace = calloc(1, sizeof *trace);
  if (trace) trace->path = strdup(path);
  if (!trace || !trace->path) {
    free(trace);
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  trace->scrub = scrub;
  trace->secret = secret;
  struct stat status;
  trace->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  bool is_open = trace->fd >= 0 && fstat(trace->fd, &status) == 0;
  if (is_open && (!S_ISREG(status.st_mode) ||
                  trust_file(path, &status, ERROR_CONFIG, "cannot write the trace to", err)))
    return trace;
  if (!is_open)
    error_set(err, ERROR_CONFIG, "cannot write the trace to %s: %s", path, strerror(errno));
  trace_close(trace);
  return NULL;
}

void trace_close(struct trace *trace)
{
  if (!trace) return;
  if (trace->fd >= 0) close(trace->fd);
  buffer_free(&trace->line);
  free(trace->path);
  free(trace);
}

static bool add_text(struct buffer *line, const char *name, const char *value)
{
  return buffer_print(line, ",\"%s\":", name) && buffer_add_json(line, value, strlen(value));
}

static bool add_time(struct buffer *line)
{
  struct timespec now;
  struct tm utc;
  char text[32];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return buffer_print(line, "{\"time\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static bool add_transfer(struct buffer *line, const char *endpoint, int attempt,
                         const struct http_transfer *x)
{
  struct error err = ERROR_INIT;
  if (x->code != CURLE_OK) http_explain(x, &err);
  return add_time(line) && (!endpoint || add_text(line, "endpoint", endpoint)) &&
         add_text(line, "method", x->request.method) && add_text(line, "url", x->request.url) &&
         buffer_print(line, ",\"attempt\":%d,\"status\":%ld,\"ms\":%.1f,\"bytes\":%lld,\"sent\":%s",
                      attempt, x->status, (double)http_time(x, CURLINFO_TOTAL_TIME_T) / 1e3,
                      (long long)http_time(x, CURLINFO_SIZE_DOWNLOAD_T),
                      x->sent ? "true" : "false") &&
         (x->code == CURLE_OK || (add_text(line, "error", error_kind_name(err.kind)) &&
                                  add_text(line, "message", err.message))) &&
         buffer_add_text(line, "}\n");
}

void trace_transfer(struct trace *trace, const char *endpoint, int attempt,
                    const struct http_transfer *transfer)
{
  if (!trace || trace->failed) return;
  struct buffer *line = &trace->line;
  line->size = 0;
  bool done = add_transfer(line, endpoint, attempt, transfer);
  if (done) {
    size_t size = trace->scrub(trace->secret, line->data, line->size);
    done = write(trace->fd, line->data, size) == (ssize_t)size;
  }
  if (done) return;
  trace->failed = true;
  fprintf(stderr, "proxylua: the trace in %s ends here: %s\n", trace->path, strerror(errno));
}
