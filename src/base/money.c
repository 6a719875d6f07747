#include "base/money.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 wide;

#define EXPONENT_LIMIT \
  100000 /* a decimal's exponent, clamped: far beyond any amount, far below overflow of an int */

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static uint64_t magnitude(money amount)
{
  return amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
}

/* value * 10^count; false when that needs more than 128 bits. */
static bool scale_up(wide value, int count, wide *scaled)
{
  for (; count > 0 && value != 0; count--)
    if (__builtin_mul_overflow(value, (wide)10, &value)) return false;
  *scaled = value;
  return true;
}

static wide divide_half_away(wide value, wide divisor)
{
  wide quotient = value / divisor, rest = value % divisor;
  return quotient + (rest >= divisor - rest);
}

/* value / 10^count, to the nearest. */
static wide scale_down(wide value, int count)
{
  wide divisor;
  if (!scale_up(1, count, &divisor)) return 0; /* 10^39 is more than twice what 128 bits hold */
  return divide_half_away(value, divisor);
}

static enum money_result with_sign(bool negative, wide value, money *amount)
{
  wide limit = negative ? (wide)1 << 63 : ((wide)1 << 63) - 1;
  if (value > limit) return MONEY_OVERFLOW;
  *amount = (money)(negative ? 0 - (uint64_t)value : (uint64_t)value);
  return MONEY_OK;
}

static void normalise(struct decimal *value)
{
  while (value->digits > 0 && value->digits % 10 == 0) {
    value->digits /= 10;
    value->exponent++;
  }
  if (value->digits == 0) *value = (struct decimal){0};
}

/* The digits of one run, trailing zeros held back until another digit follows them. */
struct reading {
  uint64_t digits;
  int zeros;
  bool too_long;
};

static void read_digit(struct reading *reading, int digit)
{
  if (digit == 0) {
    if (reading->digits > 0) reading->zeros++;
    return;
  }
  for (int i = 0; i <= reading->zeros; i++)
    if (__builtin_mul_overflow(reading->digits, UINT64_C(10), &reading->digits))
      reading->too_long = true;
  if (__builtin_add_overflow(reading->digits, (uint64_t)digit, &reading->digits))
    reading->too_long = true;
  if (reading->too_long) reading->digits = 1;
  reading->zeros = 0;
}

/* [+-]digits, clamped. */
static bool read_exponent(const char *text, const char *end, int *exponent)
{
  bool negative = text < end && *text == '-';
  if (text < end && (*text == '-' || *text == '+')) text++;
  if (text == end) return false;
  int value = 0;
  for (; text < end; text++) {
    if (!is_digit(*text)) return false;
    if (value < EXPONENT_LIMIT) value = value * 10 + (*text - '0');
  }
  *exponent = negative ? -value : value;
  return true;
}

enum money_result decimal_parse(const char *text, size_t size, struct decimal *value)
{
  const char *end = text + size;
  *value = (struct decimal){0};
  if (text < end && (*text == '-' || *text == '+')) value->negative = *text++ == '-';
  struct reading reading = {0};
  const char *start = text;
  for (; text < end && is_digit(*text); text++) read_digit(&reading, *text - '0');
  if (text == start) return MONEY_SYNTAX;
  int64_t decimals = 0;
  if (text < end && *text == '.') {
    start = ++text;
    for (; text < end && is_digit(*text); text++) read_digit(&reading, *text - '0');
    decimals = text - start;
    if (decimals == 0) return MONEY_SYNTAX;
  }
  int exponent = 0;
  if (text < end && (*text == 'e' || *text == 'E') && read_exponent(text + 1, end, &exponent))
    text = end;
  if (text != end) return MONEY_SYNTAX;
  if (reading.too_long || decimals > EXPONENT_LIMIT) return MONEY_PRECISION;
  if (reading.zeros > EXPONENT_LIMIT) return MONEY_OVERFLOW;
  value->digits = reading.digits;
  value->exponent = exponent - (int)decimals + reading.zeros;
  normalise(value);
  return MONEY_OK;
}

/* printf writes the locale's decimal point; all that counts here are the digits and the exponent.
 */
static void decimal_from_text(const char *text, struct decimal *value)
{
  *value = (struct decimal){.negative = *text == '-'};
  int places = -1; /* digits after the first */
  for (; *text != 'e'; text++) {
    if (!is_digit(*text)) continue;
    value->digits = value->digits * 10 + (uint64_t)(*text - '0');
    places++;
  }
  value->exponent = atoi(text + 1) - places;
  normalise(value);
}

void decimal_from_integer(int64_t number, struct decimal *value)
{
  *value = (struct decimal){.negative = number < 0, .digits = magnitude(number)};
  normalise(value);
}

enum money_result decimal_from_double(double number, struct decimal *value)
{
  if (!isfinite(number)) return MONEY_SYNTAX;
  char text[40];
  snprintf(text, sizeof text, "%.14e", number);
  if (strtod(text, NULL) != number) snprintf(text, sizeof text, "%.16e", number);
  decimal_from_text(text, value);
  return MONEY_OK;
}

enum money_result money_from_decimal(const struct decimal *decimal, money *amount)
{
  if (decimal->exponent < -MONEY_DECIMALS) return MONEY_PRECISION;
  return money_nearest(decimal, amount);
}

enum money_result money_nearest(const struct decimal *decimal, money *amount)
{
  int shift = decimal->exponent + MONEY_DECIMALS;
  wide value;
  if (shift < 0)
    value = scale_down(decimal->digits, -shift);
  else if (!scale_up(decimal->digits, shift, &value))
    return MONEY_OVERFLOW;
  return with_sign(decimal->negative, value, amount);
}

enum money_result money_parse(const char *text, size_t size, money *amount)
{
  struct decimal decimal;
  enum money_result result = decimal_parse(text, size, &decimal);
  return result == MONEY_OK ? money_from_decimal(&decimal, amount) : result;
}

enum money_result money_from_double(double number, money *amount)
{
  double scaled = number * (double)MONEY_UNIT;
  if (fabs(scaled) <
      9007199254740992.0) { /* 2^53: the quotient below is the double nearest to the decimal */
    int64_t nearest = llround(scaled);
    if ((double)nearest / (double)MONEY_UNIT == number) {
      *amount = nearest;
      return MONEY_OK;
    }
  }
  if (!isfinite(number)) return MONEY_SYNTAX;
  struct decimal decimal;
  char text[40];
  snprintf(text, sizeof text, "%.14e", number);
  decimal_from_text(text, &decimal);
  return money_from_decimal(&decimal, amount);
}

size_t money_format(money amount, char text[MONEY_TEXT])
{
  uint64_t value = magnitude(amount);
  int decimals = MONEY_DECIMALS;
  uint64_t fraction = value % MONEY_UNIT;
  for (; decimals > 2 && fraction % 10 == 0; decimals--) fraction /= 10;
  int size =
      snprintf(text, MONEY_TEXT, "%s%llu.%0*llu", amount < 0 ? "-" : "",
               (unsigned long long)(value / MONEY_UNIT), decimals, (unsigned long long)fraction);
  return size > 0 ? (size_t)size : 0;
}

double money_to_double(money amount)
{
  return (double)((long double)amount / (long double)MONEY_UNIT);
}

bool money_add(money a, money b, money *sum)
{
  return !__builtin_add_overflow(a, b, sum);
}

bool money_subtract(money a, money b, money *difference)
{
  return !__builtin_sub_overflow(a, b, difference);
}

bool money_negate(money amount, money *negated)
{
  return !__builtin_sub_overflow((money)0, amount, negated);
}

/* value * 10^exponent, signed; the product or quotient of an operation. */
static enum money_result finish(bool negative, wide value, int exponent, money *amount)
{
  if (exponent <= 0)
    value = scale_down(value, -exponent);
  else if (!scale_up(value, exponent, &value))
    return MONEY_OVERFLOW;
  return with_sign(negative, value, amount);
}

enum money_result money_multiply(money amount, const struct decimal *factor, money *product)
{
  wide value = (wide)magnitude(amount) * factor->digits;
  return finish((amount < 0) != factor->negative, value, factor->exponent, product);
}

enum money_result money_divide(money amount, const struct decimal *divisor, money *quotient)
{
  if (divisor->digits == 0) return MONEY_ZERO;
  bool negative = (amount < 0) != divisor->negative;
  wide above = magnitude(amount), below = divisor->digits;
  if (divisor->exponent < 0 && !scale_up(above, -divisor->exponent, &above)) return MONEY_OVERFLOW;
  if (divisor->exponent > 0 && !scale_up(below, divisor->exponent, &below)) above = 0, below = 1;
  return with_sign(negative, divide_half_away(above, below), quotient);
}

enum money_result money_round(money amount, int decimals, money *rounded)
{
  if (decimals >= MONEY_DECIMALS) {
    *rounded = amount;
    return MONEY_OK;
  }
  int places = decimals < -EXPONENT_LIMIT ? EXPONENT_LIMIT : MONEY_DECIMALS - decimals;
  wide value = scale_down(magnitude(amount), places);
  return value == 0 ? with_sign(false, 0, rounded) : finish(amount < 0, value, places, rounded);
}

static int compare_magnitudes(uint64_t amount, const struct decimal *decimal)
{
  wide left = amount, right = decimal->digits;
  int shift = decimal->exponent + MONEY_DECIMALS;
  if (shift >= 0 && !scale_up(right, shift, &right)) return -1;
  if (shift < 0 && !scale_up(left, -shift, &left)) return 1;
  return left < right ? -1 : left > right;
}

int money_compare(money amount, const struct decimal *decimal)
{
  if ((amount < 0) != decimal->negative) return amount < 0 ? -1 : amount > 0 || decimal->digits > 0;
  int order = compare_magnitudes(magnitude(amount), decimal);
  return amount < 0 ? -order : order;
}

const char *money_explain(enum money_result result)
{
  switch (result) {
    case MONEY_SYNTAX:
      return "is not an amount; expected a decimal number such as 9.30";
    case MONEY_PRECISION:
      return "has more than 8 decimals or 19 digits; round it first";
    case MONEY_OVERFLOW:
      return "is beyond the range of money, 92233720368.54775807";
    case MONEY_ZERO:
      return "is zero, and nothing can be divided by it";
    default:
      return "is an amount";
  }
}
