/* libcurl, opened when it is first called. Loading it and the thirty libraries that it needs takes
 * most of the time in which a program starts, and many runs make no request.
 *
 * This file defines the functions of libcurl that the program calls, so that callers include
 * <curl/curl.h>, keep its type checks and link as usual; each passes its arguments on to the
 * library. They are hidden symbols: C modules that a script loads see the library's own. */
#include "net/curl_library.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>

#include "base/library.h"

/* curl.h wraps these in macros that check types. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt
#undef curl_share_setopt

#define CURL_FUNCTIONS(X)     \
  X(curl_easy_cleanup)        \
  X(curl_easy_getinfo)        \
  X(curl_easy_header)         \
  X(curl_easy_init)           \
  X(curl_easy_reset)          \
  X(curl_easy_setopt)         \
  X(curl_easy_strerror)       \
  X(curl_easy_unescape)       \
  X(curl_free)                \
  X(curl_getdate)             \
  X(curl_global_init_mem)     \
  X(curl_multi_add_handle)    \
  X(curl_multi_cleanup)       \
  X(curl_multi_info_read)     \
  X(curl_multi_init)          \
  X(curl_multi_remove_handle) \
  X(curl_multi_setopt)        \
  X(curl_multi_socket_action) \
  X(curl_multi_strerror)      \
  X(curl_share_cleanup)       \
  X(curl_share_init)          \
  X(curl_share_setopt)        \
  X(curl_slist_append)        \
  X(curl_slist_free_all)      \
  X(curl_url)                 \
  X(curl_url_cleanup)         \
  X(curl_url_get)             \
  X(curl_url_set)             \
  X(curl_url_strerror)        \
  X(curl_version_info)

/* These come from the libssl that libcurl uses, which may use another library for TLS. */
#define SSL_FUNCTIONS(X) \
  X(SSL_get_ex_data)     \
  X(SSL_set_ex_data)     \
  X(SSL_set_info_callback)

#define MEMBER(name) __typeof__(&(name)) name;
static struct {
  CURL_FUNCTIONS(MEMBER)
  SSL_FUNCTIONS(MEMBER)
} library;

#define REQUIRED(name) {#name, &library.name, false},
#define OPTIONAL(name) {#name, &library.name, true},
static const struct library_function functions[] = {CURL_FUNCTIONS(REQUIRED)
                                                        SSL_FUNCTIONS(OPTIONAL)};

static bool is_open;
static struct error failure;

static void open_once(void)
{
  const struct library curl = {.user = "an HTTP request",
                               .file = "libcurl.so.4",
                               .package = "libcurl4",
                               .functions = functions,
                               .count = sizeof functions / sizeof functions[0]};
  failure = ERROR_INIT;
  is_open = library_open(&curl, &failure);
}

static bool ready(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_once);
  return is_open;
}

bool curl_library_open(struct error *err)
{
  if (!ready()) *err = failure;
  return is_open;
}

/* The type of an option's only argument follows from the option's number. */
#define PASS_OPTION(function, handle, option)                           \
  do {                                                                  \
    va_list arguments;                                                  \
    va_start(arguments, option);                                        \
    switch ((int)option / 10000 * 10000) {                              \
      case CURLOPTTYPE_LONG:                                            \
        code = function(handle, option, va_arg(arguments, long));       \
        break;                                                          \
      case CURLOPTTYPE_OFF_T:                                           \
        code = function(handle, option, va_arg(arguments, curl_off_t)); \
        break;                                                          \
      default:                                                          \
        code = function(handle, option, va_arg(arguments, void *));     \
    }                                                                   \
    va_end(arguments);                                                  \
  } while (false)

CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
  CURLcode code = CURLE_FAILED_INIT;
  if (ready()) PASS_OPTION(library.curl_easy_setopt, easy, option);
  return code;
}

CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
  CURLMcode code = CURLM_INTERNAL_ERROR;
  if (ready()) PASS_OPTION(library.curl_multi_setopt, multi, option);
  return code;
}

/* Of its options the program sets CURLSHOPT_SHARE alone. */
CURLSHcode curl_share_setopt(CURLSH *share, CURLSHoption option, ...)
{
  va_list arguments;
  va_start(arguments, option);
  int data = va_arg(arguments, int);
  va_end(arguments);
  return ready() ? library.curl_share_setopt(share, option, data) : CURLSHE_NOT_BUILT_IN;
}

CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
  va_list arguments;
  va_start(arguments, info);
  void *result = va_arg(arguments, void *);
  va_end(arguments);
  return ready() ? library.curl_easy_getinfo(easy, info, result) : CURLE_FAILED_INIT;
}

/* curl_url_get took a CURLU that it may change before libcurl 8. */
#if LIBCURL_VERSION_NUM >= 0x080000
#define CURLU_READ const CURLU
#else
#define CURLU_READ CURLU
#endif

/* PASS(TYPE, NAME, PARAMETERS, ARGUMENTS, WITHOUT): passes a call on; without the library, does
 * WITHOUT. */
#define PASS(type, name, parameters, arguments, without) \
  type curl_##name parameters                            \
  {                                                      \
    if (!ready()) without;                               \
    return library.curl_##name arguments;                \
  }

/* What was made by the library exists only if that is open. */
#define RELEASE(name, parameters, arguments)    \
  void curl_##name parameters                   \
  {                                             \
    if (is_open) library.curl_##name arguments; \
  }

PASS(CURLcode, global_init_mem,
     (long flags, curl_malloc_callback allocate, curl_free_callback release,
      curl_realloc_callback resize, curl_strdup_callback copy, curl_calloc_callback clear),
     (flags, allocate, release, resize, copy, clear), return CURLE_FAILED_INIT)
PASS(CURL *, easy_init, (void), (), return NULL)
RELEASE(easy_reset, (CURL * easy), (easy))
RELEASE(easy_cleanup, (CURL * easy), (easy))
PASS(CURLHcode, easy_header,
     (CURL * easy, const char *name, size_t index, unsigned origin, int request,
      struct curl_header **header),
     (easy, name, index, origin, request, header), return CURLHE_NOT_BUILT_IN)
PASS(const char *, easy_strerror, (CURLcode code), (code), return failure.message)
PASS(char *, easy_unescape, (CURL * easy, const char *text, int size, int *plain_size),
     (easy, text, size, plain_size), return NULL)
RELEASE(free, (void *block), (block))
PASS(time_t, getdate, (const char *text, const time_t *unused), (text, unused), return -1)
PASS(CURLM *, multi_init, (void), (), return NULL)
PASS(CURLMcode, multi_cleanup, (CURLM * multi), (multi), return CURLM_INTERNAL_ERROR)
PASS(CURLMcode, multi_add_handle, (CURLM * multi, CURL *easy), (multi, easy),
     return CURLM_INTERNAL_ERROR)
PASS(CURLMcode, multi_remove_handle, (CURLM * multi, CURL *easy), (multi, easy),
     return CURLM_INTERNAL_ERROR)
PASS(CURLMsg *, multi_info_read, (CURLM * multi, int *left), (multi, left), return NULL)
PASS(CURLMcode, multi_socket_action, (CURLM * multi, curl_socket_t fd, int events, int *running),
     (multi, fd, events, running), return CURLM_INTERNAL_ERROR)
PASS(const char *, multi_strerror, (CURLMcode code), (code), return failure.message)
PASS(CURLSH *, share_init, (void), (), return NULL)
PASS(CURLSHcode, share_cleanup, (CURLSH * share), (share), return CURLSHE_NOT_BUILT_IN)
PASS(struct curl_slist *, slist_append, (struct curl_slist * list, const char *text), (list, text),
     return NULL)
RELEASE(slist_free_all, (struct curl_slist * list), (list))
PASS(CURLU *, url, (void), (), return NULL)
RELEASE(url_cleanup, (CURLU * url), (url))
PASS(CURLUcode, url_get, (CURLU_READ * url, CURLUPart part, char **text, unsigned flags),
     (url, part, text, flags), return CURLUE_OUT_OF_MEMORY)
PASS(CURLUcode, url_set, (CURLU * url, CURLUPart part, const char *text, unsigned flags),
     (url, part, text, flags), return CURLUE_OUT_OF_MEMORY)
PASS(const char *, url_strerror, (CURLUcode code), (code), return failure.message)
PASS(curl_version_info_data *, version_info, (CURLversion age), (age), return NULL)

void *SSL_get_ex_data(const SSL *ssl, int index)
{
  return ready() && library.SSL_get_ex_data ? library.SSL_get_ex_data(ssl, index) : NULL;
}

int SSL_set_ex_data(SSL *ssl, int index, void *data)
{
  return ready() && library.SSL_set_ex_data ? library.SSL_set_ex_data(ssl, index, data) : 0;
}

void SSL_set_info_callback(SSL *ssl, void (*call)(const SSL *ssl, int where, int value))
{
  if (ready() && library.SSL_set_info_callback) library.SSL_set_info_callback(ssl, call);
}
