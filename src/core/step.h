/* The named steps of a charge. Does nothing here: `make crash` links spec/support/step.c in its place, a program that ends
 * itself at a step, so that every death can be tried. */
#ifndef PROXYLUA_STEP_H
#define PROXYLUA_STEP_H

void step(const char *name);

#endif
