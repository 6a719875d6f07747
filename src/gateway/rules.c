#include "gateway/rules.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "net/address.h"
#include "net/span.h"

#define MAX_HOST 256
#define NOT_ALLOWED "no rule allows this target"
#define DENIED "a rule denies this target"
#define PRIVATE "the target is an address of a private network or of this machine"

struct rule {
  bool allow;
  bool any;                /* "*" */
  bool below;              /* "*.domain" */
  int bits;                /* of a network; -1: a name */
  unsigned char bytes[16]; /* of the network, IPv4 as an IPv4-mapped address */
  char host[MAX_HOST];     /* without a dot at its end */
  int first, last;         /* ports */
  struct rule *next;
};

static void map_four(const void *four, unsigned char bytes[16])
{
  memset(bytes, 0, 10);
  memset(bytes + 10, 0xFF, 2);
  memcpy(bytes + 12, four, 4);
}

static bool read_address(const char *text, unsigned char bytes[16])
{
  unsigned char four[4];
  if (inet_pton(AF_INET, text, four) == 1) {
    map_four(four, bytes);
    return true;
  }
  return inet_pton(AF_INET6, text, bytes) == 1;
}

/* False when it is neither a port nor a range of them. */
static bool read_ports(const char *text, struct rule *rule)
{
  char *end;
  if (*text < '0' || *text > '9') return false;
  rule->first = rule->last = (int)strtol(text, &end, 10);
  if (*end == '-' && end[1] >= '0' && end[1] <= '9') rule->last = (int)strtol(end + 1, &end, 10);
  return *end == '\0' && rule->first >= 1 && rule->first <= rule->last && rule->last <= 65535;
}

/* Cuts off the port; what has several colons is an IPv6 address without one. */
static bool cut_ports(char *text, struct rule *rule)
{
  char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
  rule->first = 1;
  rule->last = 65535;
  if (text[0] == '[') {
    if (!bracket) return false;
    bool plain = bracket[1] == '\0' || bracket[1] == '/';
    if (!plain && (bracket[1] != ':' || !read_ports(bracket + 2, rule))) return false;
    if (!plain) bracket[1] = '\0';
    memmove(bracket, bracket + 1, strlen(bracket));
    memmove(text, text + 1, strlen(text));
    return true;
  }
  if (!colon || strchr(text, ':') != colon) return true;
  *colon = '\0';
  return read_ports(colon + 1, rule);
}

static bool read_network(char *text, struct rule *rule)
{
  char *slash = strchr(text, '/'), *end = NULL;
  if (slash) *slash = '\0';
  if (!read_address(text, rule->bytes)) return false;
  int most = strchr(text, ':') ? 128 : 32;
  long bits = slash ? strtol(slash + 1, &end, 10) : most;
  if (slash && (end == slash + 1 || *end)) return false;
  rule->bits = (int)bits + (128 - most);
  return bits >= 0 && bits <= most;
}

static void strip_dot(char *host)
{
  size_t size = strlen(host);
  if (size > 1 && host[size - 1] == '.') host[size - 1] = '\0';
}

static bool read_host(const char *text, struct rule *rule)
{
  rule->bits = -1;
  rule->any = strcmp(text, "*") == 0;
  rule->below = strncmp(text, "*.", 2) == 0;
  if (rule->below) text += 2;
  strcpy(rule->host, text); /* it is shorter */
  strip_dot(rule->host);
  return rule->any || (*text && !strpbrk(text, "*/ []:@"));
}

const char *rules_add(struct rules *rules, bool allow, const char *text)
{
  char copy[MAX_HOST];
  struct rule *rule = calloc(1, sizeof *rule);
  if (!rule) return "out of memory";
  bool ok = strlen(text) < sizeof copy;
  if (ok) strcpy(copy, text);
  ok = ok && cut_ports(copy, rule);
  if (ok && !strchr(copy, '/') && !read_address(copy, rule->bytes))
    ok = read_host(copy, rule);
  else
    ok = ok && read_network(copy, rule);
  if (!ok) {
    free(rule);
    return "expected HOST, *.DOMAIN, ADDRESS or NETWORK/BITS, with :PORT if wanted";
  }
  rule->allow = allow;
  if (allow) rules->has_allow = true;
  LL_APPEND(rules->list, rule);
  return NULL;
}

void rules_free(struct rules *rules)
{
  struct rule *rule, *following;
  LL_FOREACH_SAFE(rules->list, rule, following) free(rule);
  *rules = (struct rules){0};
}

static bool ends_with(const char *host, const char *ending)
{
  size_t size = strlen(host), end = strlen(ending);
  return size >= end && strcasecmp(host + size - end, ending) == 0;
}

static bool is_in(const struct rule *rule, const unsigned char bytes[16])
{
  int whole = rule->bits / 8, rest = rule->bits % 8;
  if (memcmp(rule->bytes, bytes, (size_t)whole) != 0) return false;
  return rest == 0 || (rule->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0;
}

/* `bytes`: of an address; NULL for a name. */
static bool fits(const struct rule *rule, const char *host, const unsigned char *bytes, int port)
{
  if (port < rule->first || port > rule->last) return false;
  if (rule->any) return true;
  if (rule->bits >= 0) return bytes && is_in(rule, bytes);
  if (!host) return false;
  if (!rule->below) return strcasecmp(host, rule->host) == 0;
  size_t size = strlen(host), end = strlen(rule->host);
  return size > end && host[size - end - 1] == '.' && ends_with(host, rule->host);
}

/* Names that lead to this machine or its network wherever they are resolved. */
static bool is_local_name(const char *host)
{
  static const char *const names[] = {"localhost",   "ip6-localhost", "ip6-loopback",
                                      "localdomain", "local",         "internal"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    size_t size = strlen(host), end = strlen(names[i]);
    if (ends_with(host, names[i]) && (size == end || host[size - end - 1] == '.')) return true;
  }
  return false;
}

/* 2130706433, 0x7f.1 and 127.1 are addresses to some resolvers. */
static bool is_odd_number(const char *host)
{
  const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
  if (strncasecmp(last, "0x", 2) == 0) return true;
  return *last && last[strspn(last, "0123456789")] == '\0';
}

static bool is_private(const unsigned char bytes[16])
{
  struct sockaddr_in6 address = {.sin6_family = AF_INET6};
  memcpy(&address.sin6_addr, bytes, 16);
  return !address_is_public((const struct sockaddr *)&address);
}

/* `shielded`: only a rule that names it lets it pass. */
static const char *judge(const struct rules *rules, const char *host, const unsigned char *bytes,
                         int port, bool shielded)
{
  bool allowed = false, named = false;
  const struct rule *rule;
  LL_FOREACH(rules->list, rule)
  {
    if (!fits(rule, host, bytes, port)) continue;
    if (!rule->allow) return DENIED;
    allowed = true;
    if (!rule->any) named = true;
  }
  if (shielded && !named)
    return bytes ? PRIVATE : "the target is a name of this machine or of a private network";
  return rules->has_allow && !allowed ? NOT_ALLOWED : NULL;
}

const char *rules_refuse(const struct rules *rules, const char *host, int port)
{
  unsigned char bytes[16];
  char name[MAX_HOST];
  if (strlen(host) >= sizeof name) return "the name of the target is too long";
  strcpy(name, host);
  strip_dot(name);
  if (read_address(name, bytes)) return judge(rules, NULL, bytes, port, is_private(bytes));
  if (is_odd_number(name)) return "the target is an address in a form with several meanings";
  return judge(rules, name, NULL, port, is_local_name(name));
}

const char *rules_refuse_address(const struct rules *rules, const struct sockaddr *address,
                                 int port)
{
  unsigned char bytes[16];
  const struct rule *rule;
  bool named = false;
  if (address->sa_family == AF_INET)
    map_four(&((const struct sockaddr_in *)address)->sin_addr, bytes);
  else
    memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
  LL_FOREACH(rules->list, rule)
  {
    if (rule->bits < 0 || !fits(rule, NULL, bytes, port)) continue;
    if (!rule->allow) return DENIED;
    named = true;
  }
  return is_private(bytes) && !named ? PRIVATE : NULL;
}
