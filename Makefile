# proxylua. `make help` lists the targets; everything that is built lands in build/.

# GCC unless told otherwise; make's own default is `cc`.
ifeq ($(origin CC),default)
CC = gcc
endif
CLANG ?= clang
SPEC ?=

dirs     = src/core src/bind src/sandbox
sources  = $(sort $(wildcard src/main.c $(dirs:%=%/*.c)))
headers  = $(sort $(wildcard $(dirs:%=%/*.h)))
modules := $(sort $(shell find lua -name '*.lua'))
# Text files that core.embedded() hands out by their path.
texts    =

# Every build: what the compiler is told, besides the flags of the variant.
flags    = -std=c11 -D_GNU_SOURCE -Isrc -isystem /usr/include/lua5.4 -g -pthread -fvisibility=hidden \
           -fstack-protector-strong -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -MMD -MP

# Lua comes in whole, with its API exported (-E), because the C modules that scripts require look for it in the program.
# lua-cjson's symbols stay private: another copy of it may be loaded as such a module.
ldflags  = -pthread -Wl,-E -Wl,-z,relro,-z,now -Wl,--exclude-libs,cjson.a
libs     = build/cjson.a -Wl,--whole-archive -l:liblua5.4.a -Wl,--no-whole-archive \
           -lcurl -lsqlite3 -levent_core -levent_extra -levent_pthreads -lcrypto -ldl -lm

# The recipes of demo, test and check must not depend on how their caller uses proxylua.
unexport PROXYLUA_API_KEY PROXYLUA_BASE_URL PROXYLUA_STORE PROXYLUA_CONFIG PROXYLUA_SPEND PROXYLUA_LIMITS \
         PROXYLUA_TIMEOUT PROXYLUA_SETTLE

# What is needed to build, and by which goals something more is. These goals install what is missing; the others only tell.
needs        = build
needs_test   = test
needs_check  = test check
installing   = $(filter deps demo test check check-% bench,$(MAKECMDGOALS))
purposes     = $(sort $(needs) $(if $(filter deps test,$(MAKECMDGOALS)),test) \
                 $(if $(filter deps check check-%,$(MAKECMDGOALS)),test check) $(if $(filter deps bench,$(MAKECMDGOALS)),bench))

# The goals that end in one recipe build in parallel by themselves.
ifeq ($(filter check%,$(MAKECMDGOALS)),)
MAKEFLAGS += -j$(shell nproc)
endif

.DEFAULT_GOAL = all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps packages demo test check bench clean help

all: build/proxylua

deps: packages

packages:
	@tools/packages $(if $(installing),install,tell) $(purposes)

# A file that comes or goes is a reason to link and to embed again, as much as one that changes.
files := $(sources) $(modules) $(texts)
ifneq ($(files),$(file <build/files))
$(shell mkdir -p build)
$(file >build/files,$(files))
endif

# $(call variant,PROGRAM,OBJECTS,COMPILER,FLAGS): one program and the folder of its objects.
define variant
$(1): $(sources:src/%.c=$(2)/%.o) build/embedded.o build/cjson.a build/files
	$(3) $(4) $(ldflags) $(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(libs)

$(2)/%.o: src/%.c Makefile | packages
	@mkdir -p $$(@D)
	$(3) $(flags) $(4) $(CFLAGS) -c -o $$@ $$<

-include $(sources:src/%.c=$(2)/%.d)
endef

sanitize = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

$(eval $(call variant,build/proxylua,build/release,$(CC),-O2 -D_FORTIFY_SOURCE=2))
$(eval $(call variant,build/asan/proxylua,build/asan,$(CC),$(sanitize)))
$(eval $(call variant,build/gcc/proxylua,build/gcc,gcc,-O2 -Werror))
$(eval $(call variant,build/clang/proxylua,build/clang,$(CLANG),-O2 -Werror))

# lua-cjson makes every number a float and null a light userdata. These two calls of it go to src/bind/json.c instead, so
# that integers stay integers and null is absent without a second pass over what was decoded.
build/cjson.a: Makefile | packages
	objcopy --redefine-sym lua_pushnumber=json_push_number --redefine-sym lua_pushlightuserdata=json_push_null \
	  "$$($(CC) -print-file-name=liblua5.4-cjson.a)" $@

# The Lua parts as bytecode in one table of C; the data is not worth an optimizer's time.
build/embedded.c: tools/embed.lua $(modules) $(texts) build/files | packages
	lua5.4 tools/embed.lua $@ $(modules) /usr/share/lua/5.4/argparse.lua $(texts)

build/embedded.o: build/embedded.c
	$(CC) -O0 -Isrc -c -o $@ $<

demo: build/proxylua
	build/proxylua --sandbox --spend 25 scripts/quickstart.lua

test: build/proxylua
	build/proxylua /usr/bin/busted $(SPEC)

clean:
	rm -rf build
