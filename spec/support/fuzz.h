/* What fuzz targets share: a runtime that is opened once, and a function of Lua that is called with
 * each input. */
#ifndef PROXYLUA_SPEC_FUZZ_H
#define PROXYLUA_SPEC_FUZZ_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The state of the one runtime. */
lua_State *fuzz_state(void);

/* Calls the function that the chunk returns with the input as a string; the chunk gets the table
 * proxylua.core. Errors of proxylua are results like others; any other error aborts: it is a
 * defect of the code that reads. The chunk is compiled once, and must be the same in each call. */
void fuzz_call(const char *chunk, const uint8_t *data, size_t size);

#endif
