/* JSON as scripts and the API's responses have it, and the records in it. */
#include "spec/support/fuzz.h"

static const char chunk[] =
    "local core = ...\n"
    "local endpoints = {}\n"
    "for _, row in ipairs(core.endpoints()) do endpoints[#endpoints + 1] = row.name end\n"
    /* What is written is read as the same value, and written the same. */
    "local function check(text)\n"
    "  local value = core.json.decode(text)\n"
    "  local escaped = core.json.encode(value, { bytes = 'escape' })\n"
    "  local ok, written = pcall(core.json.encode, value)\n"
    "  if not ok then return end\n" /* bytes that are not UTF-8 */
    "  assert(written == escaped)\n"
    "  assert(core.json.encode(core.json.decode(written)) == written)\n"
    "end\n"
    "return function(text)\n"
    "  local ok, err = pcall(check, text)\n"
    "  if not ok and not core.error.is(err) then error(err, 0) end\n"
    "  core.record.answer(text, endpoints[#text % #endpoints + 1])\n"
    "end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_call(chunk, data, size);
  return 0;
}
