/* The API key: read once, kept in locked memory that no dump, fork or other process sees, wiped at
 * the end. libcurl has a copy in ordinary memory for each open connection and each request under
 * way, which is cleared when it is freed (net/clear.h); nghttp2, which it uses for HTTP/2, leaves
 * copies in memory that it has freed. What quotes a server or a user goes through secret_scrub
 * first. */
#ifndef PROXYLUA_API_SECRET_H
#define PROXYLUA_API_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The environment variable that brings the key; programs that the key is asked from never inherit
 * it. */
#define SECRET_VARIABLE "PROXYLUA_API_KEY"

/* A key is 8 to 512 printable ASCII characters without spaces; one newline after it is dropped.
 * Anything else is a config error, which never quotes the key. */
struct secret;

/* Takes the key out of the environment: its bytes there are overwritten, so that /proc/self/environ
 * does not show them, and the variable is unset. NULL with err->kind untouched when the variable is
 * unset or empty. */
struct secret *secret_from_environment(const char *variable, struct error *err);

/* Reads the key from a regular file that belongs to this user or root and that other users cannot
 * read. */
struct secret *secret_from_file(const char *path, struct error *err);

/* The first line that /bin/sh -c `command` prints. Blocks, for at most 30 s; the command must exit
 * with 0. Its standard input is empty, its standard error is ours. */
struct secret *secret_from_command(const char *command, struct error *err);

/* The next line of standard input. At a terminal shows the prompt on standard error and echoes
 * nothing; an interrupt is an error of kind cancelled. */
struct secret *secret_from_input(const char *prompt, struct error *err);

/* Writes the key to a file that only this user can read, whole or not at all. */
bool secret_save(const struct secret *secret, const char *path, struct error *err);

/* A key that is in memory already (the sandbox's). The caller wipes its own copy. */
struct secret *secret_from_text(const char *text, struct error *err);

/* Wipes and frees it; does nothing for NULL. */
void secret_close(struct secret *secret);

/* The key, NUL-terminated, for as long as the secret is open. */
const char *secret_text(const struct secret *secret);

/* Whether the bytes hold the key; a NULL secret is in nothing. */
bool secret_is_in(const struct secret *secret, const void *bytes, size_t size);

/* Replaces every occurrence of the key in the text by "[key]", also where JSON's escapes spell it,
 * so that none appears when the text is decoded; a NULL secret replaces nothing. The second form
 * takes bytes of any kind and returns their new number. */
void secret_scrub(const struct secret *secret, char *text);
size_t secret_scrub_bytes(const struct secret *secret, char *bytes, size_t size);

/* The largest number of bytes that spell the key: what a filter of a stream must hold back. */
size_t secret_spelling_size(const struct secret *secret);

/* Makes the process undumpable: no core file, no reading of its memory by others of the same user.
 */
void secret_disable_dumps(void);

#endif
