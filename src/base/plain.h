/* Texts from elsewhere, made safe for a terminal. */
#ifndef PROXYLUA_BASE_PLAIN_H
#define PROXYLUA_BASE_PLAIN_H

/* Replaces what controls a terminal, hides or rearranges text, or is not UTF-8 by '?', in place;
 * line ends and tabs stay. The same as lua/proxylua/util/text.lua does. */
void plain_lines(char *text);

/* Prints a message to standard error, after such a change: "proxylua: TEXT". */
void plain_print(const char *text);

#endif
