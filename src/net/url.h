/* The spelling of base URLs. */
#ifndef PROXYLUA_NET_URL_H
#define PROXYLUA_NET_URL_H

#include "base/error.h"

/* Returns the base URL in the one spelling by which limits and journal are keyed: scheme and host
 * in lower case, no default port, no slash at the end. The caller frees it. NULL with a config
 * error if the URL is neither https nor loopback, or has credentials, a query or a fragment. */
char *url_check_base(const char *url, struct error *err);

#endif
