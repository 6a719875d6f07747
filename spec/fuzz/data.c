/* Lua data files: configuration, manifests of plugins, pools of a fleet. */
#include "spec/support/fuzz.h"

static const char chunk[] =
    "local core = ...\n"
    "return function(text)\n"
    "  local limits = { memory = 1 << 20, instructions = 20000, values = 1000, depth = 8 }\n"
    "  local value = core.data.load(text, '@fuzz', limits)\n"
    "  assert(type(value) == 'table')\n"
    "end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_call(chunk, data, size);
  return 0;
}
