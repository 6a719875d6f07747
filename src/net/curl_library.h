/* libcurl, opened when it is first needed. */
#ifndef PROXYLUA_NET_CURL_LIBRARY_H
#define PROXYLUA_NET_CURL_LIBRARY_H

#include <stdbool.h>

#include "base/error.h"

/* Opens libcurl unless it is open. Returns false with a config error if it cannot be opened; the
 * functions of <curl/curl.h> then fail, those without a result do nothing. From any thread. */
bool curl_library_open(struct error *err);

#endif
