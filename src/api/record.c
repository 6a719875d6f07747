#include "api/record.h"

#include <string.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_NAMES ((const char *const[]){NULL})
#define END                \
  {                        \
    NULL, RECORD_ANY, NULL \
  }

static const struct record_field none[] = {END};

static const struct record_field account[] = {
    {"id", RECORD_ID, NAMES("accountId", "account_id", "userId", "user_id")},
    {"balance", RECORD_MONEY, NO_NAMES},
    {"email", RECORD_TEXT, NO_NAMES},
    END,
};

static const struct record_field transaction[] = {
    {"id", RECORD_ID, NAMES("transactionId", "transaction_id")},
    {"type", RECORD_TEXT, NO_NAMES},
    {"amount", RECORD_MONEY, NAMES("total", "price", "cost")},
    {"order_id", RECORD_ID, NAMES("orderId")},
    {"created_at", RECORD_TIME, NAMES("createdAt")},
    END,
};

static const struct record_field quote[] = {
    {"price", RECORD_MONEY, NAMES("total", "amount", "cost")},
    END,
};

static const struct record_field order[] = {
    {"id", RECORD_ID, NAMES("orderId", "order_id")},
    {"type", RECORD_TEXT, NAMES("proxyType", "proxy_type")},
    {"quantity", RECORD_INTEGER, NO_NAMES},
    {"period", RECORD_INTEGER, NO_NAMES},
    {"country", RECORD_TEXT, NAMES("countryCode", "country_code")},
    {"status", RECORD_TEXT, NO_NAMES},
    {"price", RECORD_MONEY, NAMES("total", "amount", "cost")},
    {"created_at", RECORD_TIME, NAMES("createdAt")},
    {"expires_at", RECORD_TIME, NAMES("expiresAt")},
    END,
};

static const struct record_field proxy[] = {
    {"host", RECORD_EXACT, NAMES("ip", "address")},     {"port", RECORD_INTEGER, NO_NAMES},
    {"username", RECORD_EXACT, NAMES("user", "login")}, {"password", RECORD_EXACT, NAMES("pass")},
    {"protocol", RECORD_TEXT, NAMES("scheme")},         END,
};

static const struct record_field address[] = {
    {"currency", RECORD_TEXT, NO_NAMES},
    {"network", RECORD_TEXT, NO_NAMES},
    {"address", RECORD_EXACT,
     NAMES("depositAddress", "deposit_address", "walletAddress", "wallet_address")},
    END,
};

static const struct record_field page[] = {
    {"page", RECORD_INTEGER, NO_NAMES},
    {"limit", RECORD_INTEGER, NAMES("perPage", "per_page", "pageSize", "page_size")},
    {"total", RECORD_INTEGER, NAMES("totalCount", "total_count")},
    {"pages", RECORD_INTEGER, NAMES("totalPages", "total_pages")},
    {"has_more", RECORD_ANY, NAMES("hasMore")},
    END,
};

static const struct {
  const char *name, *list;
  const struct record_field *fields;
  const char *marks[5];
} kinds[RECORD_KIND_COUNT] = {
    [RECORD_NONE] = {"record", "records", none, {NULL}},
    [RECORD_ACCOUNT] = {"account", "accounts", account, {"balance", "email", "id"}},
    [RECORD_TRANSACTION] = {"transaction", "transactions", transaction, {"id", "type", "amount"}},
    [RECORD_QUOTE] = {"quote", "quotes", quote, {"price", "quantity"}},
    [RECORD_ORDER] = {"order", "orders", order, {"id"}},
    [RECORD_PROXY] = {"proxy", "proxies", proxy, {"host", "port", "username", "url"}},
    [RECORD_REFERENCE] = {"reference", "references", none, {NULL}},
    [RECORD_ADDRESS] = {"address", "addresses", address, {"address", "currency"}},
    [RECORD_PAGE] = {"page", "pages", page, {NULL}},
};

const struct record_field *record_fields(enum record_kind kind)
{
  return kinds[kind].fields;
}

int record_field_find(enum record_kind kind, const char *name)
{
  const struct record_field *fields = kinds[kind].fields;
  for (int i = 0; fields[i].name; i++)
    if (strcmp(fields[i].name, name) == 0) return i;
  return -1;
}

const char *const *record_marks(enum record_kind kind)
{
  return kinds[kind].marks;
}

const char *record_kind_name(enum record_kind kind)
{
  return kinds[kind].name;
}

const char *record_list_name(enum record_kind kind)
{
  return kinds[kind].list;
}
