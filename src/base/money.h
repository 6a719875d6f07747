/* Exact decimal money: whole numbers of 10^-8, every operation checked for overflow, rounding half
 * away from zero. */
#ifndef PROXYLUA_BASE_MONEY_H
#define PROXYLUA_BASE_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An amount in units of 10^-8: 9.30 is 930000000. From -92233720368.54775808 to
 * 92233720368.54775807. */
typedef int64_t money;

#define MONEY_DECIMALS 8
#define MONEY_UNIT INT64_C(100000000)
#define MONEY_TEXT 24 /* bytes that hold any amount as text, with its NUL */

enum money_result {
  MONEY_OK,
  MONEY_SYNTAX,    /* not a decimal number */
  MONEY_PRECISION, /* more than 8 decimals, or more than 19 digits */
  MONEY_OVERFLOW,  /* beyond the range */
  MONEY_ZERO       /* division by zero */
};

/* A decimal number: ± digits * 10^exponent. The digits have no trailing zeros; zero is 0 * 10^0. */
struct decimal {
  bool negative;
  uint64_t digits;
  int exponent;
};

/* Reads "9.30", "-0.00000001", "1e2": a sign, digits, a fraction, an exponent, and nothing else. */
enum money_result decimal_parse(const char *text, size_t size, struct decimal *value);

void decimal_from_integer(int64_t number, struct decimal *value);

/* The first 15 significant digits of a double where they name it, 17 otherwise. MONEY_SYNTAX for
 * NaN and infinities. */
enum money_result decimal_from_double(double number, struct decimal *value);

/* The exact amount of a decimal; MONEY_PRECISION when it has more than 8 decimals. */
enum money_result money_from_decimal(const struct decimal *decimal, money *amount);

/* The amount nearest to a decimal. */
enum money_result money_nearest(const struct decimal *decimal, money *amount);

/* decimal_parse, then money_from_decimal. */
enum money_result money_parse(const char *text, size_t size, money *amount);

/* The amount that the first 15 significant digits of a double name, so that 0.1 + 0.2 is 0.30; a
 * third is refused. */
enum money_result money_from_double(double number, money *amount);

/* "9.30": at least two decimals, no exponent, no superfluous zeros. Returns the length. */
size_t money_format(money amount, char text[MONEY_TEXT]);

/* The nearest double. */
double money_to_double(money amount);

/* False when the result is beyond the range. */
bool money_add(money a, money b, money *sum);
bool money_subtract(money a, money b, money *difference);
bool money_negate(money amount, money *negated);

/* Rounded to 10^-8, half away from zero. */
enum money_result money_multiply(money amount, const struct decimal *factor, money *product);
enum money_result money_divide(money amount, const struct decimal *divisor, money *quotient);

/* Rounded to so many decimals, half away from zero; negative ones round to tens, hundreds, ... */
enum money_result money_round(money amount, int decimals, money *rounded);

/* Negative, 0 or positive, exactly. */
int money_compare(money amount, const struct decimal *decimal);

/* The message of a result, to follow the given value: "is not an amount; expected a decimal number
 * such as 9.30". */
const char *money_explain(enum money_result result);

#endif
