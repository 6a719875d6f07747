#include "bundle/marker.h"

#include <fcntl.h>
#include <sys/auxv.h>

const volatile struct bundle_marker bundle_marker
    __attribute__((used)) = {.magic = "proxylua bundle marker"};

/* Where /proc is not mounted, the path that the program was started by must do. */
int bundle_open_program(void)
{
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const char *path = (const char *)getauxval(AT_EXECFN);
  return fd >= 0 || !path ? fd : open(path, O_RDONLY | O_CLOEXEC);
}
