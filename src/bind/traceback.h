/* Where an uncaught error stood, as its script's author sees it. */
#ifndef PROXYLUA_TRACEBACK_H
#define PROXYLUA_TRACEBACK_H

struct lua_State;

/* Pushes "stack traceback:" and a line for each frame, without those of the program's own modules and the C functions beside
 * them; with --verbose all. */
void traceback_push(struct lua_State *L);

#endif
