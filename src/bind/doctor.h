/* What `proxylua doctor` asks of the parts behind the door, one by one, without opening them all. */
#ifndef PROXYLUA_BIND_DOCTOR_H
#define PROXYLUA_BIND_DOCTOR_H

struct lua_State;

/* Pushes the table {key, store, clock}. */
void doctor_open(struct lua_State *L);

#endif
