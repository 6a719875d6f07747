#include "net/address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static bool is_public_four(uint32_t host)
{
  static const struct {
    uint32_t network;
    int bits;
  } others[] = {{0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},
                {0xA9FE0000, 16}, {0xAC100000, 12}, {0xC0000000, 24}, {0xC0000200, 24},
                {0xC0586300, 24}, {0xC0A80000, 16}, {0xC6120000, 15}, {0xC6336400, 24},
                {0xCB007100, 24}, {0xE0000000, 3}};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if ((host ^ others[i].network) >> (32 - others[i].bits) == 0) return false;
  return true;
}

static uint32_t four_of(const unsigned char *bytes)
{
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* 2000::/3 is what is handed out; inside of it, tunnels that carry an IPv4 address, and examples,
 * are not. */
static bool is_public_six(const unsigned char bytes[16])
{
  static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
  if (memcmp(bytes, mapped, sizeof mapped) == 0) return is_public_four(four_of(bytes + 12));
  if (bytes[0] >> 5 != 1 || (bytes[0] == 0x20 && bytes[1] == 0x02)) return false;
  uint32_t first = four_of(bytes);
  return first >> 9 != 0x20010000 >> 9 && first != 0x20010DB8 && first >> 12 != 0x3FFF0000 >> 12;
}

bool address_is_public(const struct sockaddr *address)
{
  if (address->sa_family == AF_INET)
    return is_public_four(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
  return address->sa_family == AF_INET6 &&
         is_public_six(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
}

bool address_is_loopback(const struct sockaddr *address)
{
  if (address->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}
