/* The standard streams on descriptors that another process may have made non-blocking, at any time:
 * the flag belongs to the open file, which processes share. */
#ifndef PROXYLUA_BASE_STREAMS_H
#define PROXYLUA_BASE_STREAMS_H

#include <stdbool.h>
#include <sys/types.h>

/* Replaces stdin, stdout and stderr by streams that wait. Call it before anything is read or
 * written. False when out of memory. */
bool streams_wait(void);

/* read(2), which waits on a non-blocking descriptor too. EINTR is the caller's. */
ssize_t stream_read(int fd, void *bytes, size_t size);

/* Flushes stdout at the end of the process and reports on standard error that output was lost; a
 * reader that closed its pipe needs no report. The exit code: `code`, or `lost` in place of 0. */
int streams_finish(int code, int lost);

#endif
