#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "gateway/state.h"

static const char *find_bundle(const char *ca_file)
{
  static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
  if (ca_file) return ca_file;
  for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++)
    if (access(bundles[i], R_OK) == 0) return bundles[i];
  return NULL;
}

/* Without a bundle every https proxy fails to verify, and the reason says so. */
struct ssl_ctx_st *tls_open(const char *ca_file, struct error *err)
{
  const char *bundle = find_bundle(ca_file);
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (!context) {
    error_set(err, ERROR_INTERNAL, "cannot prepare TLS: out of memory");
    return NULL;
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  if (!bundle || SSL_CTX_load_verify_locations(context, bundle, NULL) == 1) return context;
  error_set(err, ERROR_CONFIG,
            "no CA certificates can be read from %s; name a file with the setting ca_file", bundle);
  SSL_CTX_free(context);
  return NULL;
}

bool tls_start(struct upstream *upstream)
{
  struct gateway *gateway = upstream->gateway;
  const char *host = upstream->proxy->host;
  unsigned char bytes[16];
  struct error err = ERROR_INIT;
  if (!gateway->tls) gateway->tls = tls_open(gateway->options.ca_file, &err);
  SSL *tls = gateway->tls ? SSL_new(gateway->tls) : NULL;
  if (!tls) return false;
  upstream->side.tls = tls;
  bool literal = inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
  bool ok = literal ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) == 1
                    : SSL_set1_host(tls, host) == 1 && SSL_set_tlsext_host_name(tls, host) == 1;
  return ok && SSL_set_fd(tls, upstream->side.socket.fd) == 1;
}
