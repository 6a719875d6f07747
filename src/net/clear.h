/* Memory for libcurl that is cleared when it is freed: it holds the key in headers and strings. */
#ifndef PROXYLUA_NET_CLEAR_H
#define PROXYLUA_NET_CLEAR_H

#include <stdbool.h>

/* Initializes libcurl for the process with this memory. */
bool clear_init_curl(void);

#endif
