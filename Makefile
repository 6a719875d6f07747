# proxylua. `make help` lists the targets; all that is built lands in build/.

# GCC by default (make's own default is `cc`). CFLAGS and LDFLAGS are yours: they come after the project's.
ifeq ($(origin CC),default)
CC = gcc
endif
CLANG = clang
# The tools of the compiler's own architecture.
tool = "$$($(CC) -print-prog-name=$(1))"
# `make test SPEC=spec/core/limiter_spec.lua` runs one.
SPEC =
PREFIX  = /usr/local
DESTDIR =

# The program's sources; px for hosts of Lua is a library of its own.
lua_host = src/bind/host.c
sources := $(filter-out $(lua_host),$(sort $(shell find src -name '*.c')))
c_files := $(sources) $(lua_host) $(sort $(shell find src -name '*.h') $(wildcard bench/*.c spec/support/*.c spec/fuzz/*.c scripts/embed/*.c))
# The folders of src/ below the engine's Lua binding.
engine   = base net store limits api charge engine bundle plugin qr pool gateway
modules := $(sort $(shell find lua -name '*.lua'))
lua_dirs = lua scripts spec bench tools
# Text files that the program carries too, by their path.
texts    = $(sort $(wildcard docs/help/*.txt)) share/licences.txt share/proxylua.bash share/_proxylua share/proxylua.fish build/reference.txt

flags    = -std=c11 -D_GNU_SOURCE -Isrc -isystem /usr/include/lua5.4 -isystem /usr/include/postgresql -g -pthread \
           -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -fstack-protector-strong -fvisibility=hidden -MMD -MP

# Lua is linked whole and exports its API (-E): C modules that a script requires look for it in the program. The other
# libraries' functions are not exported, since one of those modules may use another copy of them.
linking  = -pthread -Wl,-E -Wl,-z,relro,-z,now -Wl,--exclude-libs,$(subst $(space),:,cjson.a $(static))
empty    =
space    = $(empty) $(empty)
# Linked into the program: every run would wait for each shared library to be loaded, and few runs use them. Libraries that
# are large or have other licences (libcurl, libpq, libqrencode, libseccomp) are opened when they are first needed.
static   = libsqlite3.a libevent_extra.a libevent_pthreads.a libevent_core.a libedit.a libbsd.a libmd.a libtinfo.a \
           libminizip.a libz.a libyaml.a
linked   = $(static:%=-l:%)
# A distribution's package links them as any other program does: PROXYLUA_LINK=shared.
ifeq ($(PROXYLUA_LINK),shared)
linked   = -lsqlite3 -levent_extra -levent_pthreads -levent_core -ledit -lbsd -lmd -lminizip -lz -lyaml
endif
libs     = build/cjson.a -Wl,--whole-archive -l:liblua5.4.a -Wl,--no-whole-archive $(linked) -ldl -lm

# What specs run beside the program: attempts at the processes of plugins, the journal's jobs, and two libraries.
attempts = build/spec/jail_check build/spec/frame_check build/spec/journal_check build/spec/forking.so build/spec/count_calls.so

# The variants of the program: their flags beside those above.
release  = -O2 -D_FORTIFY_SOURCE=2
strict   = -O2 -Werror
fuzzable = -O1 -Werror -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
sanitize = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

# What goals need beside the build's packages (tools/packages has the lists). These goals install what is missing; any
# other only says what that is.
# npm may have come from elsewhere.
npm = $(if $(shell command -v npm),,npm)
needs_demo       =
needs_test       = test
needs_test-fast  = test
needs_check      = test check
needs_crash      = test
needs_fuzz       = check
needs_check-soak = test
needs_deb        = deb
needs_check-long = test long doc $(npm)
needs_check-worlds = test
needs_storm      = test
needs_check-doc  = test long doc
needs_check-deposit = test long

needs_check-report = test long

needs_check-export = test long
needs_check-mcp  = test $(npm)
needs_bench      = bench
needs_doc        = doc
needs_deps       = test check long bench doc
installing = $(filter demo test test-fast crash storm check% fuzz bench doc deb deps,$(MAKECMDGOALS))
purposes   = build $(foreach goal,$(MAKECMDGOALS),$(or $(needs_$(goal)),$(if $(filter check-%,$(goal)),$(needs_check))))

# $(call run_specs,PROGRAM,OPTIONS OF BUSTED): all of them, or the one that is asked for.
run_specs = $(if $(SPEC),$(1) /usr/bin/busted $(2) $(SPEC),tools/specs $(1) $(2))

# Commands are shown in short; `make V=1` shows them whole.
say = $(if $(V),,@echo "$(1)";)

# A check goes on past a step that failed; everything else uses all processors.
MAKEFLAGS += $(if $(filter check%,$(MAKECMDGOALS)),-k,-j$(shell nproc))

# Nothing here may depend on how its caller uses proxylua.
unexport PROXYLUA_API_KEY PROXYLUA_BASE_URL PROXYLUA_STORE PROXYLUA_CONFIG PROXYLUA_SPEND PROXYLUA_LIMITS \
         PROXYLUA_TIMEOUT PROXYLUA_SETTLE PROXYLUA_NOTIFY_URL
export XDG_CONFIG_HOME = $(CURDIR)/build/home/config
export XDG_STATE_HOME  = $(CURDIR)/build/home/state
export XDG_DATA_HOME   = $(CURDIR)/build/home/data

.DEFAULT_GOAL = all
.DELETE_ON_ERROR:

# --- what people call ---

.PHONY: all lib install-lib demo fuzz test test-fast crash storm requests check check-long bench doc picture install uninstall deps format clean help

all: build/proxylua ## build the program, build/proxylua

demo: build/proxylua ## buy, list and use proxies in the sandbox: scripts/quickstart.lua
	build/proxylua --sandbox --spend 25 scripts/quickstart.lua

test: build/proxylua lib build/crash/proxylua build/spec/slots_check $(attempts) ## run the specs inside the program (SPEC=FILE: only that one)
	$(call run_specs,build/proxylua)

test-fast: build/proxylua ## run the specs that need no server, terminal or database, in seconds
	FAST=1 tools/specs $<

crash: build/proxylua build/crash/proxylua ## buy through faults and kills for minutes (CRASH='seed=7 storms=4': see spec/support/crash_long.lua)
	CRASH=long build/proxylua /usr/bin/busted spec/e2e/crash_spec.lua
	build/proxylua spec/support/crash_long.lua $(CRASH)

storm: build/proxylua ## buy 10,000 orders on a file and 3,000 on PostgreSQL through faults and kills (STORM=purchases=100)
	$(worlds)/storm.pl purchases=10000 $(STORM)
	$< $(worlds)/on_postgres.lua $(worlds)/storm.pl purchases=3000 $(STORM)

requests: build/proxylua ## print how many requests a purchase takes, on accounts of up to 100,000 orders
	$(worlds)/requests.pl

checks = format lint width layers headers words gcc clang fuzz specs
check: $(checks:%=check-%) ## run the specs with sanitizers, the linters, the formatter and the strict builds

check-long: check-fuzzing check-soak check-sanitized check-gc check-valgrind check-limits check-fleet check-worlds check-doc check-deposit check-report check-export check-lists check-mcp ## run what takes too long for every change

picture: build/proxylua ## draw the picture of README.md, docs/demo.svg, from a new run
	build/proxylua tools/demo.lua >docs/demo.svg.new && mv docs/demo.svg.new docs/demo.svg

bench: build/proxylua $(patsubst bench/%.c,build/bench/%,$(wildcard bench/*.c)) ## measure against bare C programs
	bench/run

doc: build/doc/index.html ## write the documentation and the reference as a site, build/doc/index.html

# The commands that have a manual page of their own, proxylua-NAME.
commands  = account alerts api auth bundle check completion config deposit deposits doctor export fleet gateway help init journal limits mcp notify orders plugin \
            reference renew report sandbox status test types
man_pages = proxylua.1 $(commands:%=proxylua-%.1)

# What is installed, and where below PREFIX.
installed = build/proxylua=bin/proxylua $(foreach page,$(man_pages),build/man/$(page)=share/man/man1/$(page)) \
            share/proxylua.bash=share/bash-completion/completions/proxylua \
            share/_proxylua=share/zsh/site-functions/_proxylua \
            share/proxylua.fish=share/fish/vendor_completions.d/proxylua.fish \
            build/types.lua=share/proxylua/types/proxylua.lua \
            $(foreach unit,$(notdir $(wildcard share/systemd/*)),build/units/$(unit)=$(units)/$(unit))
# Where systemd looks for units of users, also below ~/.local.
units     = share/systemd/user
split     = $(word $(1),$(subst =, ,$(2)))
mode      = $(if $(filter bin/%,$(call split,2,$(1))),755,644)
place     = "$(DESTDIR)$(PREFIX)/$(call split,2,$(1))"

install: build/proxylua build/man/proxylua.1 build/types.lua build/units ## install program, manual pages, completion and timer (PREFIX, DESTDIR)
	$(foreach file,$(installed),install -D -m $(call mode,$(file)) $(call split,1,$(file)) $(call place,$(file)) &&) true

# --- the engine as a library, for programs in C (src/proxylua.h) ---

# Shared libraries alone: Debian's static ones are not position independent. libcurl and libpq are opened when they are needed.
of_library = $(sort $(wildcard $(patsubst %,src/%/*.c,base net store limits api charge engine)))
lib_libs   = -lsqlite3 -lz -lmd -ldl -lm
lib_version = $(shell sed -n 's/.*PROXYLUA_VERSION "\(.*\)".*/\1/p' src/base/version.h)
lib: build/lib/libproxylua.so.0 build/lib/libproxylua.a build/lib/libproxylua-lua.so.0 ## build the engine as libraries: without Lua, and px for hosts of Lua

build/pic/%.o: src/%.c Makefile | packages
	@mkdir -p $(@D)
	$(call say,compile $@)$(CC) $(flags) $(release) -fPIC $(CFLAGS) -c -o $@ $<
# px for hosts that have a lua_State of their own: all but the program. Lua is the host's.
of_lua_library = $(filter-out src/main.c,$(sources)) $(lua_host)
-include $(of_lua_library:src/%.c=build/pic/%.d)

build/lib/libproxylua.so.0: $(of_library:src/%.c=build/pic/%.o)
	@mkdir -p $(@D)
	$(call say,link $@)$(CC) $(release) -shared -pthread -Wl,-soname,libproxylua.so.0 -Wl,-z,defs -Wl,-z,relro,-z,now $(LDFLAGS) \
	  -o $@ $^ $(lib_libs)

# One object, in which only the public functions keep their names: the host may have functions of the same names as ours.
build/lib/libproxylua.a: $(of_library:src/%.c=build/pic/%.o)
	@mkdir -p $(@D)
	$(call say,make $@)rm -f $@ && $(CC) -r -nostdlib -o build/lib/proxylua.o $^ && \
	  $(call tool,objcopy) --localize-hidden build/lib/proxylua.o && $(call tool,ar) rcs $@ build/lib/proxylua.o

build/lib/libproxylua-lua.so.0: $(of_lua_library:src/%.c=build/pic/%.o) build/pic/embedded.o build/cjson.a
	$(call say,link $@)$(CC) $(release) -shared -pthread -Wl,-soname,libproxylua-lua.so.0 -Wl,-z,relro,-z,now \
	  -Wl,--exclude-libs,ALL $(LDFLAGS) -o $@ $^ -levent_extra -levent_pthreads -levent_core -ledit -lminizip -lyaml $(lib_libs)

build/pic/embedded.o: build/embedded.c src/bind/embedded.h
	@mkdir -p $(@D)
	$(call say,compile $@)$(CC) -Isrc -fPIC -fvisibility=hidden -c -o $@ $<

lib_folder = $(DESTDIR)$(PREFIX)/lib
install-lib: lib ## install the libraries, their headers and their pkg-config files (PREFIX, DESTDIR)
	install -D -m 644 src/proxylua.h "$(DESTDIR)$(PREFIX)/include/proxylua.h"
	install -D -m 755 build/lib/libproxylua.so.0 "$(lib_folder)/libproxylua.so.0"
	ln -sf libproxylua.so.0 "$(lib_folder)/libproxylua.so"
	install -D -m 644 build/lib/libproxylua.a "$(lib_folder)/libproxylua.a"
	install -D -m 644 src/proxylua_lua.h "$(DESTDIR)$(PREFIX)/include/proxylua_lua.h"
	install -D -m 755 build/lib/libproxylua-lua.so.0 "$(lib_folder)/libproxylua-lua.so.0"
	ln -sf libproxylua-lua.so.0 "$(lib_folder)/libproxylua-lua.so"
	install -d "$(lib_folder)/pkgconfig"
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(lib_version)|' share/proxylua-lua.pc.in >"$(lib_folder)/pkgconfig/proxylua-lua.pc"
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(lib_version)|; s|@LIBS@|-pthread $(lib_libs)|' share/proxylua.pc.in >"$(lib_folder)/pkgconfig/proxylua.pc"

# systemd looks for programs in the places of the system alone.
.PHONY: build/units
build/units:
	@mkdir -p $@
	@$(foreach unit,$(wildcard share/systemd/*),sed 's|^ExecStart=|&$(PREFIX)/bin/|' $(unit) >$@/$(notdir $(unit)) &&) true

deb: | packages ## build a Debian package of the program in build/
	rm -rf build/deb && mkdir -p build/deb/proxylua
	tar -c --exclude=./build --exclude=./.git . | tar -x -C build/deb/proxylua
	cd build/deb/proxylua && dpkg-buildpackage --build=binary --no-sign
	lintian --fail-on error build/deb/*.changes
	cp build/deb/proxylua_*.deb build/

uninstall: ## remove what install has put there
	rm -f $(foreach file,$(installed),$(call place,$(file)))

deps: packages ## install the Debian packages that all of this needs

format: | packages ## format the C sources in place
	clang-format -i $(c_files)

clean: ## remove all that was built
	rm -rf build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

# --- the program ---

# A file that comes or goes is as much a reason to embed and link again as one that changes.
files := $(sources) $(modules) $(texts)
ifneq ($(files),$(file <build/files))
$(shell mkdir -p build)
$(file >build/files,$(files))
endif

# $(call variant,FOLDER OF THE OBJECTS,PROGRAM,COMPILER,FLAGS)
define variant
$(2): $(sources:src/%.c=$(1)/%.o) build/embedded.o build/cjson.a build/files
	$$(call say,link $$@)$(3) $(4) $(linking) $(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(libs)

$(1)/%.o: src/%.c Makefile | packages
	@mkdir -p $$(@D)
	$$(call say,compile $$@)$(3) $(flags) $(4) $(CFLAGS) -c -o $$@ $$<

-include $(sources:src/%.c=$(1)/%.d)
endef

# The program that the crash harness runs: the same objects but for the steps of a charge, where it can be made to end itself.
# $(call crashing,FOLDER OF THE OBJECTS,PROGRAM,COMPILER,FLAGS)
define crashing
$(2): $(filter-out %/crash_point.o,$(sources:src/%.c=$(1)/%.o)) $(1)/crash/crash_point.o build/embedded.o build/cjson.a build/files
	@mkdir -p $$(@D)
	$$(call say,link $$@)$(3) $(4) $(linking) $(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(libs)

$(1)/crash/crash_point.o: spec/support/crash_point.c src/charge/crash_point.h Makefile | packages
	@mkdir -p $$(@D)
	$$(call say,compile $$@)$(3) $(flags) $(4) $(CFLAGS) -c -o $$@ $$<
endef

$(eval $(call variant,build/release,build/proxylua,$(CC),$(release)))
$(eval $(call variant,build/asan,build/asan/proxylua,$(CC),$(sanitize)))
$(eval $(call variant,build/gcc,build/gcc/proxylua,gcc,$(strict)))
$(eval $(call variant,build/clang,build/clang/proxylua,$(CLANG),$(fuzzable)))
$(eval $(call crashing,build/release,build/crash/proxylua,$(CC),$(release)))
$(eval $(call crashing,build/asan,build/asan/crash/proxylua,$(CC),$(sanitize)))

# lua-cjson makes every number a float, null a light userdata and an empty list an object. The linker sends these calls of its
# decoder to src/bind/json.c, which gets that right without a second pass over what was decoded, and is a third faster for it.
# (The archive is not position independent, which a library tolerates but for `stderr`.)
hooks = lua_pushnumber lua_pushlightuserdata lua_checkstack lua_createtable lua_rawset lua_rawseti fpconv_strtod stderr
build/cjson.a: Makefile | packages
	@mkdir -p build/cjson
	$(call say,make $@)rm -f $@ && $(CC) -r -nostdlib $(hooks:%=-Wl,--wrap=%) -o build/cjson/cjson.o \
	  -Wl,--whole-archive "$$($(CC) -print-file-name=liblua5.4-cjson.a)" && \
	  for hook in $(hooks); do $(call tool,nm) -u build/cjson/cjson.o | grep -qw __wrap_$$hook || \
	    { echo "lua-cjson does not call $$hook any more: see src/bind/json.c" >&2; exit 1; }; done && \
	  $(call tool,ar) rcs $@ build/cjson/cjson.o

build/reference.txt: tools/reference.lua $(modules) build/files | packages
	$(call say,make $@)lua5.4 tools/reference.lua $@ $(modules)

build/man/proxylua.1: build/proxylua tools/man.lua
	@mkdir -p $(@D)
	$(call say,make $@)$< tools/man.lua $(@D)

build/types.lua: build/proxylua
	$(call say,make $@)$< types >$@

build/doc/index.html: build/proxylua tools/site.lua $(wildcard tools/site/* *.md docs/*.md) docs/demo.svg | packages
	@mkdir -p $(@D)
	$(call say,make $@)$< tools/site.lua $(@D)

build/embedded.c: tools/embed.lua $(modules) $(texts) build/files | packages
	$(call say,make $@)lua5.4 tools/embed.lua $@ $(modules) /usr/share/lua/5.4/argparse.lua $(texts)

build/embedded.o: build/embedded.c src/bind/embedded.h
	$(call say,compile $@)$(CC) -Isrc -fvisibility=hidden -c -o $@ $<

# This one measures the engine itself.
build/bench/slots: bench/slots.c $(patsubst src/%.c,build/release/%.o,$(wildcard $(engine:%=src/%/*.c))) Makefile | packages
	@mkdir -p $(@D)
	$(call say,make $@)$(CC) $(flags) -O2 $(CFLAGS) -o $@ $(filter %.c %.o,$^) $(LDFLAGS) -lsqlite3 -l:libminizip.a -lz -l:libmd.a -ldl -lm

build/bench/%: bench/%.c Makefile | packages
	@mkdir -p $(@D)
	$(call say,make $@)$(CC) $(flags) -O2 $(CFLAGS) -o $@ $< $(LDFLAGS) -Wl,--as-needed \
	  -l:liblua5.4-cjson.a -l:liblua5.4.a -lcurl -lssl -lcrypto -ldl -lm

# What specs run beside the program, with sanitizers. It knows the slot rule alone.
build/spec/slots_check: spec/support/slots_check.c src/limits/slots.c src/limits/slots.h Makefile | packages
	@mkdir -p $(@D)
	$(call say,make $@)$(CC) $(filter-out -MMD -MP,$(flags)) $(sanitize) $(CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS)

# What reads the messages of plugins, with sanitizers.
reading = $(patsubst %,src/%.c,bind/plugin/marshal bind/plugin/protocol bind/box bind/error bind/money bind/json bind/json_encode bind/args \
            plugin/frame base/buffer base/datetime base/error base/json base/money base/text api/endpoint api/endpoint_check api/endpoint_path api/record)
build/spec/frame_check: spec/support/frame_check.c $(reading) build/cjson.a Makefile | packages
	@mkdir -p $(@D)
	$(call say,make $@)$(CC) $(filter-out -MMD -MP,$(flags)) $(sanitize) $(CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS) \
	  build/cjson.a -l:liblua5.4.a -ldl -lm

# Each file of spec/fuzz is a target of libFuzzer, and the folder beside it has the inputs that it begins with. The objects are
# those of check-clang.
targets  = $(basename $(notdir $(wildcard spec/fuzz/*.c)))
fuzzing  = -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
build/fuzz/%: spec/fuzz/%.c spec/support/fuzz.c spec/support/fuzz.h $(filter-out build/clang/main.o,$(sources:src/%.c=build/clang/%.o)) \
              build/embedded.o build/cjson.a
	@mkdir -p $(@D)
	$(call say,make $@)$(CLANG) $(filter-out -MMD -MP,$(flags)) -I. $(fuzzing) $(linking) $(CFLAGS) -o $@ $(filter %.c %.o,$^) $(LDFLAGS) $(libs)

# $(call fuzz,TARGET,SECONDS): new inputs are found again from the corpus, and only those that fail are kept, in build/fuzz.
fuzz = rm -rf build/fuzz/$(1).new && mkdir -p build/fuzz/$(1).new && \
       build/fuzz/$(1) -max_total_time=$(2) -max_len=4096 -timeout=20 -artifact_prefix=build/fuzz/$(1)- \
         build/fuzz/$(1).new spec/fuzz/$(1) >build/fuzz/$(1).log 2>&1 && tail -n 1 build/fuzz/$(1).log | sed 's/^/fuzz: $(1): /' || \
       { tail -n 40 build/fuzz/$(1).log; false; }

FUZZ_S = 60
fuzz: $(targets:%=build/fuzz/%) ## change the inputs of spec/fuzz at random, and look for crashes (FUZZ_S=60: seconds each; FUZZ='json data')
	@$(foreach target,$(or $(FUZZ),$(targets)),{ $(call fuzz,$(target),$(FUZZ_S)); } &&) true

build/spec/jail_check: spec/support/jail_check.c src/plugin/jail.c src/base/error.c src/base/library.c src/plugin/jail.h Makefile | packages
	@mkdir -p $(@D)
	$(call say,make $@)$(CC) $(filter-out -MMD -MP,$(flags)) -O2 $(CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS) -lseccomp

build/spec/%.so: spec/support/%.c Makefile | packages
	@mkdir -p $(@D)
	$(call say,make $@)$(CC) $(filter-out -MMD -MP,$(flags)) -O2 -fPIC -shared $(CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS)

# The journal's jobs on both stores, with sanitizers.
journal = $(wildcard src/store/*.c src/charge/journal*.c src/charge/lock_*.c) \
          $(patsubst %,src/%.c,net/loop net/clear base/buffer base/error base/process base/sha256 base/trust)
build/spec/journal_check: spec/support/journal_check.c $(journal) $(wildcard src/store/*.h src/charge/journal.h) Makefile | packages
	@mkdir -p $(@D)
	$(call say,make $@)$(CC) $(filter-out -MMD -MP,$(flags)) $(sanitize) $(CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS) \
	  -Wl,--wrap=clock_gettime,--wrap=sqlite3_reset -lcurl -lsqlite3 -l:libmd.a -ldl

.PHONY: packages
packages:
	@tools/packages $(if $(installing),install,check) $(purposes)
	@for name in lua5.4 lua5.4-cjson sqlite3; do case "$$($(CC) -print-file-name=lib$$name.a)" in /*) ;; \
	  *) echo "$(CC) finds no lib$$name.a: install the libraries in tools/packages for its architecture" >&2; exit 1 ;; esac; done

# --- the steps of `make check`: each says how it ended, in a line that .ci/run counts ---

.PHONY: $(checks:%=check-%) check-fuzzing check-soak check-sanitized check-gc check-valgrind check-limits check-fleet check-worlds check-doc check-deposit check-report check-export check-lists check-mcp
step = @if $(1); then echo "check: $(@:check-%=%) passed"; else echo "check: $(@:check-%=%) FAILED"; exit 1; fi
none = ! grep -nE $(1) /dev/null

check-format: | packages
	$(call step,clang-format --dry-run -Werror $(c_files))

check-lint: | packages
	$(call step,luacheck --quiet --no-color $(lua_dirs))

# Code and comments end at column 100, which the linter checks for Lua too; texts in Lua may go on to 150.
check-width:
	$(call step,$(call none,'^.{101}') $(c_files) && $(call none,'^.{151}') $(shell find $(lua_dirs) -name '*.lua'))

# The arrows run one way: tools/layers.lua has the table.
check-layers: | packages
	$(call step,lua5.4 tools/layers.lua)

# Each header includes what it needs: it compiles alone.
check-headers: | packages
	$(call step,! for header in $$(find src -name '*.h'); do \
	  $(CC) $(filter-out -MMD -MP,$(flags)) -Werror -fsyntax-only -x c $$header || echo $$header; done 2>&1 | grep .)

# Plain English in the documentation, the help and the source code: tools/words has the list.
check-words: build/proxylua
	$(call step,$< tools/check_words.lua $(wildcard *.md docs/*.md docs/help/*.txt))

check-gcc: build/gcc/proxylua
	$(call step,true)

check-clang: build/clang/proxylua
	$(call step,true)

# Each target for seconds, and in check-long for minutes (`make check-fuzzing FUZZING=3600`: an hour each).
check-fuzz check-fuzzing: $(targets:%=build/fuzz/%)
check-fuzz:
	$(call step,$(foreach target,$(targets),{ $(call fuzz,$(target),3); } &&) true)
FUZZING = 600
check-fuzzing:
	$(call step,$(foreach target,$(targets),{ $(call fuzz,$(target),$(FUZZING)); } &&) true)

# These are of what is written in Lua. They start the program again and again, which takes most of the time under sanitizers, and
# reach no C that the others do not: check-sanitized has them too.
of_lua = $(addprefix lua/,alerts deposit fleet fleet_renew notify report) \
         $(addprefix cli/,cli complete settings doctor exit_codes export_command install journal_commands output plugin_cli) \
         $(addprefix e2e/,docs fleet_crash worlds reference scripts)
check-specs: export SPECS = $(filter-out $(of_lua:%=spec/%_spec.lua),$(wildcard spec/*/*_spec.lua))
check-specs check-sanitized check-gc: export ASAN_OPTIONS = detect_leaks=1:abort_on_error=1
check-specs check-sanitized check-gc: export UBSAN_OPTIONS = print_stacktrace=1:abort_on_error=1
check-specs check-sanitized: build/asan/proxylua build/asan/crash/proxylua build/spec/slots_check $(attempts)
	$(call step,$(call run_specs,$<))

# A collector that looks at what is new whenever the memory has grown by a hundredth finds values that C code forgot to anchor. (One that
# never rests takes a minute for a hundred thousand tables.)
greedy = collectgarbage("generational", 1, 100)
check-gc: build/asan/proxylua build/asan/crash/proxylua build/spec/slots_check $(attempts)
	$(call step,$(call run_specs,$<,-e '$(greedy)'))

# Long runs, whose size must not grow (`make check-soak SOAK=0.1`: a tenth of the work).
SOAK = 1
check-soak: build/proxylua
	$(call step,SOAK=$(SOAK) $< /usr/bin/busted spec/e2e/soak_spec.lua)

# The site in headless Chromium: the search, the links, and the width of a phone.
check-doc: export DOC_LONG = 1
check-doc: build/doc/index.html
	$(call step,build/proxylua /usr/bin/busted spec/e2e/site_spec.lua)

# Specs of the code that allocates most; all specs would take too long under valgrind.
slow_specs = $(patsubst %,spec/core/%_spec.lua,error json http scheduler)
check-valgrind: build/proxylua build/crash/proxylua
	$(call step,valgrind --quiet --leak-check=full --error-exitcode=99 $< /usr/bin/busted $(or $(SPEC),$(slow_specs)))

# Thousands of requests against each way of counting, on both stores; prints its figures (LIMITS_SEED=N repeats a run).
check-limits: export LIMITS_LONG = 1
check-limits: build/proxylua build/spec/slots_check
	$(call step,$< /usr/bin/busted spec/core/limiter_property_spec.lua spec/core/limiter_time_spec.lua)

# `fleet apply` killed at every step of every charge, and in a storm of faults (FLEET_SEED=N repeats that).
check-fleet: export FLEET_CRASH = long
check-fleet: build/proxylua build/crash/proxylua
	$(call step,$< /usr/bin/busted spec/e2e/fleet_crash_spec.lua)

# Random worlds against an emulation of the API of their own (`make check-worlds WORLDS=100 SEED=7`): on a file, and a tenth as
# many on PostgreSQL. Each failure prints the command that repeats it.
WORLDS = 3000
SEED := $(shell date +%s)
worlds = spec/support/worlds
check-worlds: build/proxylua
	$(call step,$(worlds)/run.pl worlds=$(WORLDS) seed=$(SEED) && \
	  $< $(worlds)/on_postgres.lua $(worlds)/run.pl worlds=$$(($(WORLDS) / 10)) seed=$$(($(SEED) + $(WORLDS))))

# QR codes through a real reader, from each form and from the terminal; the timer through systemd's own eyes.
check-deposit: export DEPOSIT_LONG = 1
check-deposit: build/proxylua
	$(call step,$< /usr/bin/busted spec/lua/qr_spec.lua spec/lua/deposit_spec.lua spec/cli/install_spec.lua)

# The page of a report in headless Chromium: the numbers that it shows, and that nothing overflows.
check-report: export REPORT_LONG = 1
check-report: build/proxylua
	$(call step,$< /usr/bin/busted spec/e2e/report_page_spec.lua)

# Each export held against the reader that is too much to install for every change.
check-export: export EXPORT_LONG = 1
check-export: build/proxylua
	$(call step,PATH=$$PATH:/usr/sbin $< /usr/bin/busted spec/lua/formats_spec.lua)

# Lists with other seeds than those of make test, and many more of them.
check-lists: export LISTS_ROUNDS = 3000
check-lists: build/proxylua
	$(call step,LISTS_SEED=$$(date +%s) $< /usr/bin/busted spec/lua/lists_spec.lua spec/lua/lists_property_spec.lua spec/lua/lists_wild_spec.lua)

# The official clients of the Model Context Protocol, against the server for agents.
check-mcp: export MCP_LONG = 1
check-mcp: build/proxylua
	$(call step,$< /usr/bin/busted spec/e2e/mcp_clients_spec.lua)
