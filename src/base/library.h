/* Shared libraries that are opened when they are first needed. */
#ifndef PROXYLUA_BASE_LIBRARY_H
#define PROXYLUA_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct library_function {
  const char *name;
  void *place;   /* address of a pointer to the function */
  bool optional; /* the pointer is NULL if the library lacks the function */
};

struct library {
  const char *user;    /* what needs it: "a QR code" */
  const char *file;    /* "libqrencode.so.4" */
  const char *package; /* Debian's name for it */
  const struct library_function *functions;
  size_t count;
};

/* Opens a library and fills in its functions. It stays open until the process ends. Returns false
 * with a config error that names the file and the package. */
bool library_open(const struct library *library, struct error *err);

#endif
