/* The results of requests as errors of the contract. */
#include "net/http_private.h"

#include <string.h>
#include <time.h>

#include "base/datetime.h"

void http_explain(const struct http_transfer *x, struct error *err)
{
  /* The text may be of an earlier connection where these ended it. */
  bool own = x->text[0] && x->code != CURLE_TOO_MANY_REDIRECTS && x->code != CURLE_OUT_OF_MEMORY;
  const char *text = own ? x->text : curl_easy_strerror(x->code);
  if (x->failure.kind != ERROR_NONE)
    error_set(err, x->failure.kind, "%s", x->failure.message);
  else if (x->kept_in && !x->sent)
    error_set(err, ERROR_FORBIDDEN, "the host has no address of the public internet");
  else if (x->too_large)
    error_set(err, ERROR_PROTOCOL,
              "the response is larger than %zu bytes; ask for less, or download it to a file with "
              "path=",
              x->request.max_body);
  else if (!x->sent && (x->code == CURLE_UNSUPPORTED_PROTOCOL || x->code == CURLE_URL_MALFORMAT))
    error_set(err, ERROR_USAGE, "%s", text);
  else if (x->code == CURLE_OUT_OF_MEMORY && !x->has_head && x->sent)
    error_set(err, ERROR_PROTOCOL, "the head of the response is too large");
  else if (x->code == CURLE_BAD_FUNCTION_ARGUMENT && x->sent)
    error_set(err, ERROR_PROTOCOL, "the head of the response has lines that are not headers");
  else if (x->code == CURLE_SSL_CACERT_BADFILE)
    error_set(err, ERROR_CONFIG,
              "no CA certificates can be read from %s; install ca-certificates, or name a file "
              "with the setting ca_file or SSL_CERT_FILE",
              x->owner->ca);
  else if (x->asked_for[0])
    error_set(err, ERROR_NETWORK, "the proxy asks for %s: %s", x->asked_for, text);
  else if (x->code == CURLE_OPERATION_TIMEDOUT)
    error_set(err, ERROR_TIMEOUT, "%s", text);
  else if (x->code == CURLE_WRITE_ERROR && x->has_head)
    error_set(err, ERROR_PROTOCOL, "cannot process the response: %s", text);
  else if (x->code == CURLE_BAD_CONTENT_ENCODING || x->code == CURLE_TOO_MANY_REDIRECTS ||
           x->code == CURLE_WEIRD_SERVER_REPLY || x->code == CURLE_UNSUPPORTED_PROTOCOL ||
           (x->code == CURLE_WRITE_ERROR && !x->has_head))
    error_set(err, ERROR_PROTOCOL, "cannot read the response: %s", text);
  else
    error_set(err, ERROR_NETWORK, "%s", text);
}

/* What a SOCKS proxy refused. libcurl keeps the value of an earlier request unless the code says
 * that this one failed there. */
static const char *socks_fault(const struct http_transfer *x)
{
  long socks = CURLPX_OK;
  if (x->code != CURLE_PROXY) return NULL;
  curl_easy_getinfo(x->easy, CURLINFO_PROXY_ERROR, &socks);
  switch (socks) {
    case CURLPX_USER_REJECTED:
    case CURLPX_NO_AUTH:
    case CURLPX_IDENTD:
    case CURLPX_IDENTD_DIFFER:
      return "proxy_auth";
    case CURLPX_REPLY_NOT_ALLOWED:
      return "proxy_rules";
    case CURLPX_RESOLVE_HOST:
      return "resolve";
    case CURLPX_CLOSED:
    case CURLPX_BAD_VERSION:
    case CURLPX_RECV_AUTH:
    case CURLPX_RECV_CONNECT:
    case CURLPX_RECV_REQACK:
    case CURLPX_SEND_AUTH:
    case CURLPX_SEND_CONNECT:
    case CURLPX_SEND_REQUEST:
    case CURLPX_RECV_ADDRESS:
      return "closed";
    default:
      return "proxy";
  }
}

/* What the proxy responded to CONNECT. tinyproxy has 401 for wrong credentials. */
static const char *connect_fault(const struct http_transfer *x)
{
  long connect = 0;
  curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &connect);
  if (connect == 407 || connect == 401) return "proxy_auth";
  return connect != 0 && connect / 100 != 2 ? "proxy" : NULL;
}

/* libcurl has one code for every timeout; its text names the one of the name server. */
static bool timed_out_resolving(const struct http_transfer *x)
{
  static const char resolving[] = "Resolving timed out";
  return x->code == CURLE_OPERATION_TIMEDOUT &&
         strncmp(x->text, resolving, sizeof resolving - 1) == 0;
}

const char *http_fault(const struct http_transfer *x)
{
  const char *fault = socks_fault(x);
  if (!fault) fault = connect_fault(x);
  if (fault) return fault;
  if (timed_out_resolving(x)) return "resolve";
  switch (x->code) {
    case CURLE_COULDNT_CONNECT:
      return "refused";
    case CURLE_COULDNT_RESOLVE_HOST:
      return "resolve";
    case CURLE_COULDNT_RESOLVE_PROXY:
      return "resolve_proxy";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
      return "tls";
    case CURLE_OPERATION_TIMEDOUT:
      return "timeout";
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return "closed";
    default:
      return "";
  }
}

int64_t http_time(const struct http_transfer *x, CURLINFO which)
{
  curl_off_t time = 0;
  curl_easy_getinfo(x->easy, which, &time);
  return time;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

/* "120" or "1.5", rounded up to whole seconds. */
static bool read_delay(const char *text, size_t size, double *seconds)
{
  bool more = false;
  size_t i = 0;
  *seconds = 0;
  for (; i < size && is_digit(text[i]); i++) *seconds = *seconds * 10 + (text[i] - '0');
  if (i == 0) return false;
  if (i < size && text[i] == '.') {
    size_t first = ++i;
    for (; i < size && is_digit(text[i]); i++) more |= text[i] != '0';
    if (i == first) return false;
  }
  *seconds += more;
  return i == size;
}

/* Whether the text has the shape: 'a' stands for a letter, '0' for a digit, '_' for a digit or a
 * blank, anything else for itself. */
static bool has_shape(const char *text, size_t size, const char *shape)
{
  if (strlen(shape) != size) return false;
  for (size_t i = 0; i < size; i++) {
    bool letter = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z');
    bool fits = shape[i] == 'a'   ? letter
                : shape[i] == '0' ? is_digit(text[i])
                : shape[i] == '_' ? text[i] == ' ' || is_digit(text[i])
                                  : text[i] == shape[i];
    if (!fits) return false;
  }
  return true;
}

/* The three forms of RFC 9110. Servers write the first, which date_parse reads in a tenth of the
 * time that curl_getdate takes. */
static bool read_http_date(const char *text, size_t size, double *seconds)
{
  static const char *const days[] = {"aaaaaa", "aaaaaaa", "aaaaaaaa", "aaaaaaaaa"};
  if (has_shape(text, size, "aaa, 00 aaa 0000 00:00:00 GMT"))
    return date_parse(text, seconds) && *seconds >= 0;
  const char *comma = memchr(text, ',', size);
  size_t name = comma ? (size_t)(comma - text) : 0;
  bool good = has_shape(text, size, "aaa aaa _0 00:00:00 0000");
  for (size_t i = 0; !good && i < sizeof days / sizeof days[0]; i++)
    good = has_shape(text, name, days[i]) &&
           has_shape(text + name, size - name, ", 00-aaa-00 00:00:00 GMT");
  time_t time = good ? curl_getdate(text, NULL) : -1;
  *seconds = (double)time;
  return time >= 0;
}

/* libcurl gives "\r" for the value of a header that has none. */
const char *header_of(const struct http_transfer *x, const char *name)
{
  struct curl_header *header;
  if (curl_easy_header(x->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return "";
  return *header->value == '\r' ? "" : header->value;
}

double http_retry_after(struct http_transfer *x)
{
  double seconds, now = http_date(x);
  const char *value = header_of(x, "Retry-After");
  size_t size = strlen(value);
  if (read_http_date(value, size, &seconds))
    seconds -= now > 0 ? now : (double)time(NULL);
  else if (!read_delay(value, size, &seconds))
    return -1;
  return seconds >= 1 && seconds <= HTTP_MAX_RETRY_AFTER ? seconds : -1;
}

double http_date(struct http_transfer *x)
{
  const char *value = x->date < 0 ? header_of(x, "Date") : "";
  if (x->date < 0 && !read_http_date(value, strlen(value), &x->date)) x->date = 0;
  return x->date;
}
