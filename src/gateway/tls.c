#include "gateway/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <unistd.h>

#include "base/library.h"

#define SSL_FUNCTIONS(X)           \
  X(ERR_clear_error)               \
  X(ERR_peek_error)                \
  X(ERR_reason_error_string)       \
  X(SSL_CTX_ctrl)                  \
  X(SSL_CTX_free)                  \
  X(SSL_CTX_load_verify_locations) \
  X(SSL_CTX_new)                   \
  X(SSL_CTX_set_verify)            \
  X(SSL_connect)                   \
  X(SSL_ctrl)                      \
  X(SSL_free)                      \
  X(SSL_get0_param)                \
  X(SSL_get_error)                 \
  X(SSL_get_verify_result)         \
  X(SSL_new)                       \
  X(SSL_read)                      \
  X(SSL_set1_host)                 \
  X(SSL_set_fd)                    \
  X(SSL_shutdown)                  \
  X(SSL_write)                     \
  X(TLS_client_method)             \
  X(X509_VERIFY_PARAM_set1_ip_asc) \
  X(X509_verify_cert_error_string)

#define MEMBER(name) __typeof__(&(name)) name;
static struct {
  SSL_FUNCTIONS(MEMBER)
} library;

#define REQUIRED(name) {#name, &library.name, false},
static const struct library_function functions[] = {SSL_FUNCTIONS(REQUIRED)};

static bool is_open;
static struct error failure;

static void open_once(void)
{
  const struct library ssl = {.user = "an https proxy",
                              .file = "libssl.so.3",
                              .package = "libssl3",
                              .functions = functions,
                              .count = sizeof functions / sizeof functions[0]};
  failure = ERROR_INIT;
  is_open = library_open(&ssl, &failure);
}

static const char *find_bundle(const char *ca_file)
{
  static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
  if (ca_file) return ca_file;
  for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++)
    if (access(bundles[i], R_OK) == 0) return bundles[i];
  return NULL;
}

struct ssl_ctx_st *tls_open(const char *ca_file, struct error *err)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_once);
  if (!is_open) {
    *err = failure;
    return NULL;
  }
  const char *bundle = find_bundle(ca_file);
  SSL_CTX *context = library.SSL_CTX_new(library.TLS_client_method());
  if (!context) {
    error_set(err, ERROR_INTERNAL, "TLS cannot start: out of memory");
    return NULL;
  }
  library.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
  library.SSL_CTX_ctrl(context, SSL_CTRL_MODE,
                       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                           SSL_MODE_RELEASE_BUFFERS,
                       NULL);
  library.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  if (bundle && library.SSL_CTX_load_verify_locations(context, bundle, NULL) == 1) return context;
  error_set(err, ERROR_CONFIG,
            "no CA certificates can be read%s%s; name a file with the setting ca_file",
            bundle ? " from " : "", bundle ? bundle : "");
  library.SSL_CTX_free(context);
  return NULL;
}

void tls_close(struct ssl_ctx_st *context)
{
  if (context) library.SSL_CTX_free(context);
}

struct ssl_st *tls_start(struct ssl_ctx_st *context, int fd, const char *host)
{
  unsigned char bytes[16];
  SSL *tls = library.SSL_new(context);
  if (!tls) return NULL;
  bool ok;
  if (inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1)
    ok = library.X509_VERIFY_PARAM_set1_ip_asc(library.SSL_get0_param(tls), host) == 1;
  else
    ok = library.SSL_set1_host(tls, host) == 1 &&
         library.SSL_ctrl(tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                          (void *)host) == 1;
  if (ok && library.SSL_set_fd(tls, fd) == 1) return tls;
  library.SSL_free(tls);
  return NULL;
}

void tls_free(struct ssl_st *tls)
{
  if (tls) library.SSL_free(tls);
}

static enum tls_result result_of(SSL *tls, int code)
{
  switch (library.SSL_get_error(tls, code)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return TLS_WAIT;
    case SSL_ERROR_ZERO_RETURN:
      return TLS_ENDED;
    default:
      return ERR_GET_REASON(library.ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                 ? TLS_CUT
                 : TLS_BROKEN;
  }
}

enum tls_result tls_connect(struct ssl_st *tls, const char **why)
{
  library.ERR_clear_error();
  int code = library.SSL_connect(tls);
  if (code == 1) return TLS_DONE;
  enum tls_result result = result_of(tls, code);
  if (result == TLS_WAIT) return result;
  long verified = library.SSL_get_verify_result(tls);
  const char *reason = library.ERR_reason_error_string(library.ERR_peek_error());
  *why = verified != X509_V_OK ? library.X509_verify_cert_error_string(verified)
         : reason              ? reason
                               : "the connection was closed";
  return verified != X509_V_OK ? TLS_CERTIFICATE : TLS_BROKEN;
}

enum tls_result tls_read(struct ssl_st *tls, char *bytes, size_t room, size_t *size)
{
  library.ERR_clear_error();
  int code = library.SSL_read(tls, bytes, room > INT32_MAX ? INT32_MAX : (int)room);
  *size = code > 0 ? (size_t)code : 0;
  return code > 0 ? TLS_DONE : result_of(tls, code);
}

enum tls_result tls_write(struct ssl_st *tls, const char *bytes, size_t size, size_t *written)
{
  library.ERR_clear_error();
  int code = library.SSL_write(tls, bytes, size > INT32_MAX ? INT32_MAX : (int)size);
  *written = code > 0 ? (size_t)code : 0;
  return code > 0 ? TLS_DONE : result_of(tls, code);
}

void tls_shut(struct ssl_st *tls)
{
  library.ERR_clear_error();
  library.SSL_shutdown(tls);
}
