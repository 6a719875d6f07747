/* Countries by their codes and names. */
#ifndef PROXYLUA_API_COUNTRY_H
#define PROXYLUA_API_COUNTRY_H

#include <stdbool.h>

/* Writes the ISO 3166-1 code of two capital letters for a code ("us", "USA") or a name ("United
 * States"); case, blanks and punctuation do not matter. Any two letters count as a code. False for
 * a text that is neither. */
bool country_code(const char *text, char code[3]);

#endif
