/* Network addresses by whom they belong to. */
#ifndef PROXYLUA_NET_ADDRESS_H
#define PROXYLUA_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Whether an address is one of the public internet: neither this machine's, nor a private
 * network's, nor a link's, nor for a group, nor one that carries such an address inside. */
bool address_is_public(const struct sockaddr *address);

bool address_is_loopback(const struct sockaddr *address);

#endif
