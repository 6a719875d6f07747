#include "base/datetime.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_SECONDS                                                                            \
  1e11 /* more are milliseconds: as seconds they would be in the year 5138, as milliseconds in \
          1973 */
#define DIGITS "0123456789"
#define BLANKS " \t\n\v\f\r"

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

/* Moves *at behind one of the names, whose letters may be small or capital. Returns its position,
 * -1 when the text begins with none of them. */
static int read_name(const char **at, const char *const *names)
{
  for (int i = 0; names[i]; i++) {
    size_t size = strlen(names[i]);
    if (strncasecmp(*at, names[i], size) != 0) continue;
    *at += size;
    return i;
  }
  return -1;
}

/* "Z", "UTC", "GMT", "+01:00", "+0100", "+01", or one of RFC 2822's zones of North America, up to
 * the end of the text. */
static bool read_offset(const char *at, long *offset)
{
  static const char *const zones[] = {"UTC", "GMT", "UT",  "Z",   "EDT", "EST", "CDT",
                                      "CST", "MDT", "MST", "PDT", "PST", NULL};
  static const long hours_of[] = {0, 0, 0, 0, -4, -5, -5, -6, -6, -7, -7, -8};
  int zone = read_name(&at, zones);
  if (zone >= 0) {
    *offset = hours_of[zone] * 3600;
    return !*at;
  }
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

static bool is_time(long hour, long minute, long second)
{
  return hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 && second <= 60;
}

/* "T22:15:00.5+01:00"; without an offset it is UTC. */
static bool read_time_of_day(const char *at, double *seconds)
{
  double fraction;
  long offset = 0;
  if (!skip(&at, "Tt ")) return false;
  long hour = read(&at, 2);
  if (!skip(&at, ":")) return false;
  long minute = read(&at, 2);
  if (!skip(&at, ":")) return false;
  long second = read(&at, 2);
  if (!is_time(hour, minute, second) || !read_fraction(&at, &fraction)) return false;
  skip(&at, " ");
  if (*at && !read_offset(at, &offset)) return false;
  *seconds = (double)(hour * 3600 + minute * 60 + second - offset) + fraction;
  return true;
}

static bool read_number(const char *text, double *seconds)
{
  char *end;
  if (!strchr(DIGITS "-", *text) || text[strspn(text, DIGITS "-.")]) return false;
  *seconds = strtod(text, &end);
  if (*end) return false;
  if (*seconds > MAX_SECONDS || *seconds < -MAX_SECONDS) *seconds /= 1000;
  return true;
}

/* "2026-11-23" and the time behind it. */
static bool read_iso(const char *at, double *seconds)
{
  double time = 0;
  long year = read(&at, 4);
  if (year < 0 || !skip(&at, "-")) return false;
  long month = read(&at, 2);
  if (month < 1 || month > 12 || !skip(&at, "-")) return false;
  long day = read(&at, 2);
  if (day < 1 || day > days_of(year, month) || (*at && !read_time_of_day(at, &time))) return false;
  *seconds = (double)days(year, month, day) * 86400 + time;
  return true;
}

/* One or two digits. */
static long read_day(const char **at)
{
  bool two = **at && (*at)[1] >= '0' && (*at)[1] <= '9';
  return read(at, two ? 2 : 1);
}

/* "Mon, 23 Nov 2026 22:15:00 +0000", without the name of the day or the seconds too. */
static bool read_rfc2822(const char *at, double *seconds)
{
  static const char *const weekdays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", NULL};
  static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
                                       "Aug", "Sep", "Oct", "Nov", "Dec", NULL};
  if (read_name(&at, weekdays) >= 0 && !(skip(&at, ",") && skip(&at, " "))) return false;
  long day = read_day(&at), offset;
  if (day < 1 || !skip(&at, " -")) return false;
  long month = read_name(&at, months) + 1;
  if (month < 1 || !skip(&at, " -")) return false;
  long year = read(&at, 4);
  if (year < 0 || day > days_of(year, month) || !skip(&at, " ")) return false;
  long hour = read(&at, 2);
  if (!skip(&at, ":")) return false;
  long minute = read(&at, 2), second = skip(&at, ":") ? read(&at, 2) : 0;
  if (!is_time(hour, minute, second) || !skip(&at, " ") || !read_offset(at, &offset)) return false;
  *seconds = (double)days(year, month, day) * 86400 + (double)(hour * 3600 + minute * 60 + second) -
             (double)offset;
  return true;
}

bool date_parse(const char *text, double *seconds)
{
  char time[DATE_MAX_SIZE + 1];
  text += strspn(text, BLANKS);
  size_t size = strlen(text);
  while (size > 0 && strchr(BLANKS, text[size - 1])) size--;
  if (size == 0 || size > DATE_MAX_SIZE) return false;
  memcpy(time, text, size);
  time[size] = '\0';
  return read_number(time, seconds) || read_iso(time, seconds) || read_rfc2822(time, seconds);
}

static double read_decimal(const char **at)
{
  double value = 0, digit = 1;
  for (; **at >= '0' && **at <= '9'; (*at)++) value = value * 10 + (**at - '0');
  if (**at != '.') return value;
  for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) value += (**at - '0') * (digit /= 10);
  return value;
}

/* The seconds of the unit at a place, 0 where there is none. */
static double read_unit(const char **at)
{
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400.0}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    size_t size = strlen(units[i].name);
    if (strncmp(*at, units[i].name, size) != 0) continue;
    *at += size;
    return units[i].seconds;
  }
  return 0;
}

bool duration_parse(const char *text, double *seconds)
{
  double total = 0;
  bool is_zero = strcmp(text, "0") == 0;
  for (const char *at = text; *at && !is_zero;) {
    if (*at < '0' || *at > '9') return false;
    double number = read_decimal(&at), unit = read_unit(&at);
    if (unit == 0) return false;
    total += number * unit;
  }
  if (!*text || !isfinite(total)) return false;
  *seconds = total;
  return true;
}
