/* The messages of SOCKS 4, 4a and 5, in both directions. Readers return how many bytes the message
 * has, 0 while it is incomplete, and -1 when it is not valid. Writers return its size. */
#ifndef PROXYLUA_GATEWAY_SOCKS_H
#define PROXYLUA_GATEWAY_SOCKS_H

#include <stdbool.h>
#include <stddef.h>

#define SOCKS_MAX 600 /* bytes of the longest message */

enum socks_reply {
  SOCKS_GRANTED = 0,
  SOCKS_FAILED = 1,
  SOCKS_NOT_ALLOWED = 2,
  SOCKS_UNREACHABLE = 4,
  SOCKS_REFUSED = 5,
  SOCKS_NO_COMMAND = 7,
  SOCKS_NO_ADDRESS_TYPE = 8
};

/* From a client of ours. */
int socks_read_greeting(const char *bytes, size_t size, bool *without_login, bool *with_login);
int socks_read_login(const char *bytes, size_t size, char user[256], char password[256]);

/* `refusal`: a reply for a valid request that is not supported, else SOCKS_GRANTED. */
int socks_read_request(const char *bytes, size_t size, char host[256], int *port,
                       enum socks_reply *refusal);

/* To a proxy. */
size_t socks_write_login(char out[SOCKS_MAX], const char *user, const char *password);
size_t socks_write_request(char out[SOCKS_MAX], const char *host, int port);

/* SOCKS 4 for an IPv4 literal; 4a for a name. 0 for an IPv6 literal. */
size_t socks4_write_request(char out[SOCKS_MAX], const char *host, int port, const char *user);

/* From a proxy: `reply` is 0 when it was granted. */
int socks_read_reply(const char *bytes, size_t size, int *reply);

#endif
