#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

static const char *find_missing(const struct library *library, void *handle)
{
  for (size_t i = 0; i < library->count; i++) {
    const struct library_function *function = &library->functions[i];
    void *found = dlsym(handle, function->name);
    if (!found && !function->optional) return function->name;
    memcpy(function->place, &found, sizeof found); /* ISO C does not convert it to a function */
  }
  return NULL;
}

/* It stays open, since OpenSSL, which several of them use, cannot be unloaded. */
bool library_open(const struct library *library, struct error *err)
{
  void *handle = dlopen(library->file, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  const char *missing = handle ? find_missing(library, handle) : NULL;
  if (!handle)
    error_set(err, ERROR_CONFIG,
              "%s needs the library %s, which cannot be opened (%.300s); "
              "install it (Debian: %s)",
              library->user, library->file, dlerror(), library->package);
  else if (missing)
    error_set(err, ERROR_CONFIG,
              "%s needs a newer version of the library %s, one with the "
              "function %s; install it (Debian: %s)",
              library->user, library->file, missing, library->package);
  return handle && !missing;
}
