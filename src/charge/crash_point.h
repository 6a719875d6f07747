/* The named steps of a charge. Does nothing here: `make crash` links spec/support/step.c instead, a
 * version that kills the process at a step, so that a crash at each step can be tested. */
#ifndef PROXYLUA_CHARGE_CRASH_POINT_H
#define PROXYLUA_CHARGE_CRASH_POINT_H

void crash_point(const char *name);

#endif
