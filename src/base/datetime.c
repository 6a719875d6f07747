#include "base/datetime.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SECONDS                                                                           \
  1e11 /* more are milliseconds: as seconds they would be in the year 5138, as milliseconds in \
          1973 */
#define DIGITS "0123456789"

/* Days from 1970-01-01 in the proleptic Gregorian calendar; years that begin in March put the leap
 * day last. */
static long days(long year, long month, long day)
{
  if (month <= 2) {
    year--;
    month += 12;
  }
  return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 -
         719468;
}

static long days_of(long year, long month)
{
  return (month == 12 ? days(year + 1, 1, 1) : days(year, month + 1, 1)) - days(year, month, 1);
}

/* So many digits at *at, moved behind them; -1 when there are none. */
static long read(const char **at, int count)
{
  long value = 0;
  for (int i = 0; i < count; i++, ++*at) {
    if (**at < '0' || **at > '9') return -1;
    value = value * 10 + (**at - '0');
  }
  return value;
}

static bool skip(const char **at, const char *any)
{
  if (!**at || !strchr(any, **at)) return false;
  ++*at;
  return true;
}

/* "Z", "+01:00", "+0100", "+01" or nothing, up to the end. */
static bool read_offset(const char *at, long *offset)
{
  *offset = 0;
  if (strcmp(at, "") == 0 || strcmp(at, "Z") == 0 || strcmp(at, "z") == 0) return true;
  bool west = *at == '-';
  if (!skip(&at, "+-")) return false;
  long hours = read(&at, 2), minutes = 0;
  bool colon = skip(&at, ":");
  if (*at || colon) minutes = read(&at, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || *at) return false;
  *offset = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

static bool read_fraction(const char **at, double *fraction)
{
  *fraction = 0;
  if (!skip(at, ".")) return true;
  size_t size = strspn(*at, DIGITS);
  double unit = 1;
  for (size_t i = 0; i < size; i++) *fraction += (unit /= 10) * ((*at)[i] - '0');
  *at += size;
  return size > 0;
}

static bool read_time_of_day(const char *at, double *seconds)
{
  double fraction;
  long offset;
  if (!skip(&at, "Tt ")) return false;
  long hour = read(&at, 2);
  if (!skip(&at, ":")) return false;
  long minute = read(&at, 2);
  if (!skip(&at, ":")) return false;
  long second = read(&at, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  if (!read_fraction(&at, &fraction) || !read_offset(at, &offset)) return false;
  *seconds = (double)(hour * 3600 + minute * 60 + second - offset) + fraction;
  return true;
}

static bool read_number(const char *text, double *seconds)
{
  char *end;
  if (!strchr(DIGITS "-", *text) || strspn(text, DIGITS "-.") != strlen(text)) return false;
  *seconds = strtod(text, &end);
  if (*end) return false;
  if (*seconds > MOST_SECONDS || *seconds < -MOST_SECONDS) *seconds /= 1000;
  return true;
}

bool date_parse(const char *text, double *seconds)
{
  const char *at = text;
  double time = 0;
  if (!*text) return false;
  if (read_number(text, seconds)) return true;
  long year = read(&at, 4);
  if (year < 0 || !skip(&at, "-")) return false;
  long month = read(&at, 2);
  if (month < 1 || month > 12 || !skip(&at, "-")) return false;
  long day = read(&at, 2);
  if (day < 1 || day > days_of(year, month) || (*at && !read_time_of_day(at, &time))) return false;
  *seconds = (double)days(year, month, day) * 86400 + time;
  return true;
}
