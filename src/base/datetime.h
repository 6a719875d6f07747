/* Dates as servers write them. */
#ifndef PROXYLUA_BASE_DATETIME_H
#define PROXYLUA_BASE_DATETIME_H

#include <stdbool.h>

/* Seconds since 1970 UTC of "2026-11-23T22:15:00.5Z" (ISO 8601: a blank for the T, an offset such
 * as +01:00, or a date alone will do; without an offset it is UTC) or of a number of seconds or
 * milliseconds. False when it is neither. */
bool date_parse(const char *text, double *seconds);

#endif
