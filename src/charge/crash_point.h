/* The named steps of a charge. Does nothing here: `make crash` links spec/support/step.c in its
 * place, a program that ends itself at a step, so that every death can be tried. */
#ifndef PROXYLUA_CHARGE_CRASH_POINT_H
#define PROXYLUA_CHARGE_CRASH_POINT_H

void crash_point(const char *name);

#endif
