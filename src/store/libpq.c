/* libpq, opened when it is first needed. */
#include <dlfcn.h>
#include <string.h>

#include "store/postgres.h"

static bool find(void *handle, const char *name, void *function)
{
  void *found = dlsym(handle, name);
  memcpy(function, &found, sizeof found); /* C has no conversion to a pointer to a function */
  return found;
}

/* Stays open, since its OpenSSL does not support being unloaded. */
bool postgres_open_library(struct libpq *lib, struct error *err)
{
  lib->handle = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  bool ok = lib->handle;
#define LIBPQ_FIND(name) ok = ok && find(lib->handle, #name, &lib->name)
  LIBPQ_FUNCTIONS(LIBPQ_FIND);
  if (!ok)
    error_set(err, ERROR_CONFIG,
              "a store in PostgreSQL needs the client library libpq, which cannot be loaded (%s); "
              "install it (Debian: "
              "libpq5), or use the path of a file as the store",
              lib->handle ? "it is too old" : dlerror());
  return ok;
}
