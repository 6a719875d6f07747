/* Which targets the gateway may be asked for. Names and addresses of this machine and of private
 * networks are refused unless a rule names them. */
#ifndef PROXYLUA_GATEWAY_RULES_H
#define PROXYLUA_GATEWAY_RULES_H

#include <stdbool.h>
#include <sys/socket.h>

struct rule;

struct rules {
  struct rule *list;
  bool has_allow;
};

/* Adds a rule: HOST, *.DOMAIN, *, ADDRESS or NETWORK/BITS, each with :PORT or :FIRST-LAST if
 * wanted; an IPv6 address stands in brackets then. NULL, or why it is not one. */
const char *rules_add(struct rules *rules, bool allow, const char *text);
void rules_free(struct rules *rules);

/* NULL when a target is allowed by its name or literal address, or why it is refused. */
const char *rules_refuse(const struct rules *rules, const char *host, int port);

/* The same for an address that a name of this port was resolved to. */
const char *rules_refuse_address(const struct rules *rules, const struct sockaddr *address,
                                 int port);

#endif
