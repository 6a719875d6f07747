#include "api/endpoint.h"

#include <string.h>
#include <strings.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PARAMS(...) ((const struct endpoint_param[]){__VA_ARGS__, {0}})

#define TYPES NAMES("residential", "datacenter", "isp", "mobile", "ipv6")
#define OPTIONS NAMES("timeout", "max_wait") /* of every call */
#define CHARGE_OPTIONS NAMES("key", "max_price", "timeout", "max_wait")

#define ID \
  .name = "id", .place = PARAM_PATH, .required = true, .summary = "order, such as ord_abc123"
#define PAGE \
  .name = "page", .type = PARAM_INTEGER, .place = PARAM_QUERY, .min = 1, .summary = "page, from 1"
#define LIMIT                                                                         \
  .name = "limit", .type = PARAM_INTEGER, .place = PARAM_QUERY, .min = 1, .max = 100, \
  .summary = "records a page"
#define TYPE .name = "type", .values = TYPES, .summary = "kind of proxies"
#define QUANTITY                                                                              \
  .name = "quantity", .type = PARAM_INTEGER, .place = PARAM_BODY, .required = true, .min = 1, \
  .summary = "GB for residential, number of IPs for the others"
#define PERIOD .name = "period", .type = PARAM_INTEGER, .place = PARAM_BODY, .min = 1
#define COUNTRY                                               \
  .name = "country", .place = PARAM_BODY, .min = 2, .max = 2, \
  .summary = "two letters (ISO 3166-1 alpha-2), such as US"

/* What is priced by orders.calc and bought by orders.create. */
#define ORDER_PARAMS                                                \
  PARAMS({TYPE, .place = PARAM_BODY, .required = true}, {QUANTITY}, \
         {PERIOD, .summary = "days (datacenter, isp, mobile)"}, {COUNTRY})

static const struct endpoint table[] = {
    {.name = "account.get",
     .method = "GET",
     .path = "/account",
     .record = RECORD_ACCOUNT,
     .summary = "balance and email of the account",
     .params = PARAMS({0}),
     .options = OPTIONS},
    {.name = "account.transactions",
     .method = "GET",
     .path = "/account/transactions",
     .paged = true,
     .list = true,
     .record = RECORD_TRANSACTION,
     .summary = "deposits, charges and refunds",
     .params = PARAMS({PAGE}, {LIMIT}),
     .options = OPTIONS},
    {.name = "orders.calc",
     .method = "POST",
     .path = "/orders/calc",
     .record = RECORD_QUOTE,
     .summary = "price of an order, without placing it",
     .params = ORDER_PARAMS,
     .options = OPTIONS},
    {.name = "orders.create",
     .method = "POST",
     .path = "/orders",
     .kind = ENDPOINT_CHARGE,
     .order_scope = true,
     .record = RECORD_ORDER,
     .summary = "place an order; charges the balance",
     .params = ORDER_PARAMS,
     .options = CHARGE_OPTIONS},
    {.name = "orders.list",
     .method = "GET",
     .path = "/orders",
     .paged = true,
     .list = true,
     .record = RECORD_ORDER,
     .summary = "orders of the account",
     .params = PARAMS({PAGE}, {LIMIT}, {TYPE, .place = PARAM_QUERY},
                      {.name = "status",
                       .place = PARAM_QUERY,
                       .values = NAMES("active", "expired", "cancelled"),
                       .summary = "state of the orders"}),
     .options = OPTIONS},
    {.name = "orders.get",
     .method = "GET",
     .path = "/orders/:id",
     .record = RECORD_ORDER,
     .summary = "one order",
     .params = PARAMS({ID}),
     .options = OPTIONS},
    {.name = "orders.proxies",
     .method = "GET",
     .path = "/orders/:id/proxies",
     .list = true,
     .record = RECORD_PROXY,
     .summary = "hosts, ports and credentials of an order's proxies",
     .params = PARAMS({ID}),
     .options = OPTIONS},
    {.name = "orders.download",
     .method = "GET",
     .path = "/orders/:id/download",
     .text = true,
     .summary = "an order's proxies as a text file",
     .params = PARAMS({ID}, {.name = "format",
                             .place = PARAM_QUERY,
                             .values = NAMES("txt", "csv", "json"),
                             .summary = "format of the file (default: txt)"}),
     .options = NAMES("path", "timeout", "max_wait")},
    {.name = "orders.extend",
     .method = "POST",
     .path = "/orders/:id/extend",
     .kind = ENDPOINT_CHARGE,
     .record = RECORD_ORDER,
     .summary = "extend an active order; charges the balance",
     .params = PARAMS({ID}, {PERIOD, .required = true, .summary = "additional days"}),
     .options = CHARGE_OPTIONS},
    {.name = "reference.countries",
     .method = "GET",
     .path = "/reference/countries",
     .list = true,
     .record = RECORD_REFERENCE,
     .summary = "countries that can be ordered",
     .params = PARAMS({0}),
     .options = OPTIONS},
    {.name = "reference.proxy_types",
     .method = "GET",
     .path = "/reference/proxy-types",
     .list = true,
     .record = RECORD_REFERENCE,
     .summary = "types of proxies that can be ordered",
     .params = PARAMS({0}),
     .options = OPTIONS},
    {.name = "reference.periods",
     .method = "GET",
     .path = "/reference/periods",
     .list = true,
     .record = RECORD_REFERENCE,
     .summary = "periods that can be ordered",
     .params = PARAMS({0}),
     .options = OPTIONS},
    {.name = "deposits.addresses",
     .method = "GET",
     .path = "/deposits/addresses",
     .list = true,
     .record = RECORD_ADDRESS,
     .summary = "deposit addresses of the account",
     .params = PARAMS({0}),
     .options = OPTIONS},
    {.name = "deposits.create_address",
     .method = "POST",
     .path = "/deposits/addresses",
     .kind = ENDPOINT_ONCE,
     .record = RECORD_ADDRESS,
     .summary = "a new deposit address",
     .params = PARAMS({.name = "currency",
                       .place = PARAM_BODY,
                       .required = true,
                       .values = NAMES("BTC", "ETH", "USDT", "LTC"),
                       .summary = "currency to deposit"},
                      {.name = "network",
                       .place = PARAM_BODY,
                       .values = NAMES("ERC20", "TRC20"),
                       .summary = "network of the currency, such as TRC20 for USDT"}),
     .options = OPTIONS},
    {0},
};

const struct endpoint *endpoint_table(void)
{
  return table;
}

const struct endpoint *endpoint_find(const char *name)
{
  for (const struct endpoint *row = table; row->name; row++)
    if (strcmp(row->name, name) == 0) return row;
  return NULL;
}

/* Whether a path falls under a pattern: segment by segment, a ":name" fitting any. */
static bool fits(const char *pattern, const char *path)
{
  while (*pattern && *path) {
    size_t wanted = strcspn(pattern + 1, "/") + 1, given = strcspn(path + 1, "/") + 1;
    bool same = wanted == given && strncasecmp(pattern, path, wanted) == 0;
    if (!same && (pattern[1] != ':' || given == 1)) return false;
    pattern += wanted;
    path += given;
  }
  return !*pattern && !*path;
}

const struct endpoint *endpoint_match(const char *method, const char *path)
{
  for (const struct endpoint *row = table; row->name; row++)
    if (strcasecmp(row->method, method) == 0 && fits(row->path, path)) return row;
  return NULL;
}

const struct endpoint_param *endpoint_param_find(const struct endpoint *endpoint, const char *name)
{
  for (const struct endpoint_param *param = endpoint->params; param->name; param++)
    if (strcmp(param->name, name) == 0) return param;
  return NULL;
}

const char *endpoint_class_name(enum endpoint_class kind)
{
  static const char *const names[] = {"safe", "once", "charge"};
  return names[kind];
}
