/* TLS to https proxies, by the libssl that is opened when the first one is used. */
#ifndef PROXYLUA_GATEWAY_TLS_H
#define PROXYLUA_GATEWAY_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct ssl_ctx_st;
struct ssl_st;

/* NULL with the reason: the library or the CA certificates are missing, or memory is out. NULL as
 * the CA file: the system's. */
struct ssl_ctx_st *tls_open(const char *ca_file, struct error *err);
void tls_close(struct ssl_ctx_st *context); /* NULL is fine */

/* A connection over a socket to a host whose certificate has to fit. NULL when memory is out. */
struct ssl_st *tls_start(struct ssl_ctx_st *context, int fd, const char *host);
void tls_free(struct ssl_st *tls); /* NULL is fine */

enum tls_result {
  TLS_DONE,
  TLS_WAIT,        /* until the socket is ready */
  TLS_ENDED,       /* the other side has said that there is no more */
  TLS_CUT,         /* the connection ended without that: bytes may be missing */
  TLS_CERTIFICATE, /* it is for another host, or its signer is unknown */
  TLS_BROKEN
};

/* `why`: a text that stays valid, where the result is TLS_CERTIFICATE or TLS_BROKEN. */
enum tls_result tls_connect(struct ssl_st *tls, const char **why);
enum tls_result tls_read(struct ssl_st *tls, char *bytes, size_t room, size_t *size);
enum tls_result tls_write(struct ssl_st *tls, const char *bytes, size_t size, size_t *written);
void tls_shut(struct ssl_st *tls);

#endif
