#include "core/step.h"

void step(const char *name)
{
  (void)name;
}
