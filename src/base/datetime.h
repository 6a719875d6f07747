/* Dates as servers write them, and durations as people do. */
#ifndef PROXYLUA_BASE_DATETIME_H
#define PROXYLUA_BASE_DATETIME_H

#include <stdbool.h>

#define DATE_MAX_SIZE 64 /* bytes of a time, without the blanks around it */

/* Reads a time into seconds since 1970 UTC. The text is one of these, with blanks around it or
 * without: ISO 8601 ("2026-11-23T22:15:00.5Z"; a blank for the T, an offset such as +01:00, UTC or
 * GMT as the zone, or a date alone; without an offset it is UTC); RFC 2822 ("Mon, 23 Nov 2026
 * 22:15:00 +0000"); a number of seconds or milliseconds. Returns false for anything else. Takes
 * time linear in the length of the text. */
bool date_parse(const char *text, double *seconds);

/* Reads a duration such as "90s", "1.5h" or "1d12h" into seconds. Every number has a unit: ms, s, m
 * (minutes), h, d or w; only "0" may stand alone. Returns false for anything else. */
bool duration_parse(const char *text, double *seconds);

#endif
