# make            builds everything into build/
# make demo       sets up this machine (Debian packages) and runs the demo; TRACE=FILE... plays recorded events
# make test       sets up this machine and passes all tests
# make check      format, rooms, warnings as errors (gcc, clang), cppcheck, unit, flow, live tests, sanitizers
# make unit | flow | model | live | rooms | format | lint | bench | fuzz | tsan
# make fault | recovery | rebuild | soak: hours of it, for the ledger
# SAN=address,undefined builds with sanitizers into build/san; WERROR=1 makes warnings errors; V=1 shows commands

CC ?= gcc
BUILD ?= build$(if $(SAN),/san)$(if $(CRASH_POINTS),/crash)
CFLAGS ?= -O2 -g
V ?= 0
Q := $(if $(filter 0,$(V)),@)
SAY = $(if $(filter 0,$(V)),@printf '  %-4s %s\n' $(1) $(2))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LANGUAGE := -std=gnu17 -D_GNU_SOURCE -I. -ffp-contract=off -fno-fast-math
# Instrumented code makes gcc see texts that may be NULL or too long where there are none.
SANITIZE := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined -Wno-format-truncation)
ALL_CFLAGS = $(LANGUAGE) $(WARNINGS) $(if $(WERROR),-Werror) $(if $(SAN),,$(HARDEN)) $(SANITIZE) $(if $(CRASH_POINTS),-DCRASH_POINTS) $(CFLAGS)
ALL_LDFLAGS = $(SANITIZE) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

LIBS := -lrdkafka -lhiredis -ljansson -lcurl -lssl -lcrypto -lgsl -lgslcblas -lsystemd -lyaml \
	-lmicrohttpd -lzstd -lm -lpthread

SERVICES := ingest detectors alerts remediate console
PROGRAMS := $(SERVICES:%=$(BUILD)/modelwatch-%) $(BUILD)/modelwatch $(BUILD)/demo-fleet \
	$(BUILD)/demo-deploy $(BUILD)/demo-story $(BUILD)/bench-drop

# core and ports are one archive, of which the linker takes what a program uses; a service adds its own room. The folds
# of all rooms (what thinks, and neither wires nor touches) are a second archive, for the command and the tests.
SOURCES := $(wildcard core/*.c core/stats/*.c ports/*.c demo/*_json.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/ports/advance.o
ARCHIVE := $(BUILD)/libmodelwatch.a
ROOM_SOURCES := $(wildcard ingest/*.c detectors/*.c alerts/*.c remediate/*.c console/*.c ctl/*.c)
FOLD_SOURCES := $(filter-out %/main.c %/partition.c %/judging.c,$(ROOM_SOURCES))
FOLDS := $(BUILD)/libfolds.a

UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
FLOW := $(patsubst tests/flow/%.c,$(BUILD)/flow/%,$(wildcard tests/flow/test_*.c))

all: $(PROGRAMS)

$(BUILD)/%.o: %.c
	$(call SAY,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The Redis function travels inside the programs: symbols advance_lua, advance_lua_end.
$(BUILD)/ports/advance.o: ports/advance.lua
	$(Q)mkdir -p $(@D)
	$(Q)printf '.section .rodata\n.global advance_lua, advance_lua_end\nadvance_lua:\n.incbin "%s"\nadvance_lua_end:\n.byte 0\n.section .note.GNU-stack,"",@progbits\n' $< | $(CC) -x assembler -c - -o $@

$(ARCHIVE): $(OBJECTS)
	$(call SAY,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(FOLDS): $(FOLD_SOURCES:%.c=$(BUILD)/%.o)
	$(call SAY,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

room_objects = $(addprefix $(BUILD)/,$(addsuffix .o,$(basename $(wildcard $1/*.c))))
$(foreach s,$(SERVICES),$(eval $(BUILD)/modelwatch-$s: $(call room_objects,$s)))

$(BUILD)/modelwatch-%: $(ARCHIVE)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(filter-out $(ARCHIVE),$^) $(ARCHIVE) $(LIBS) -o $@

$(BUILD)/modelwatch: $(BUILD)/ctl/main.o $(FOLDS) $(ARCHIVE)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/demo-%: $(BUILD)/demo/%.o $(ARCHIVE)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/bench-%: $(BUILD)/bench/%.o $(ARCHIVE)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(FOLDS) $(ARCHIVE)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -lcmocka $(LIBS) -o $@

$(BUILD)/flow/%: $(BUILD)/tests/flow/%.o $(FOLDS) $(ARCHIVE)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -lcmocka $(LIBS) -o $@

# Programs that live tests drive: the contract of a port against the real thing.
LIVE := $(patsubst tests/live/%.c,$(BUILD)/live/%,$(wildcard tests/live/*.[ch]))

$(BUILD)/live/%: $(BUILD)/tests/live/%.o $(FOLDS) $(ARCHIVE)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ -lcmocka $(LIBS) -o $@

# The simulation brings a clock of its own, and wires the services' folds at their ports by itself.
SIM := $(BUILD)/sim
$(SIM): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/*.c)) $(BUILD)/ingest/partition.o \
		$(BUILD)/detectors/judging.o $(FOLDS) $(ARCHIVE)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

# ---- torture: every allocation fails once

$(BUILD)/torture/memory.o: $(BUILD)/core/memory.o
	$(Q)mkdir -p $(@D)
	$(Q)objcopy --redefine-sym malloc=ours_malloc --redefine-sym calloc=ours_calloc --redefine-sym realloc=ours_realloc $< $@

$(BUILD)/torture/main.o: $(BUILD)/ctl/main.o
	$(Q)mkdir -p $(@D)
	$(Q)objcopy --redefine-sym main=modelwatch_main $< $@

$(BUILD)/torture/allocation: $(BUILD)/tests/torture/allocation.o $(BUILD)/torture/memory.o $(BUILD)/torture/main.o \
		$(FOLDS) $(ARCHIVE)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -rdynamic $^ $(LIBS) -o $@

$(BUILD)/torture/events.jsonl: tests/torture/trace.py
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 $< >$@

torture: $(BUILD)/torture/allocation $(BUILD)/torture/events.jsonl
	@$^

# ---- tsan: the Kafka door's threads under the thread sanitizer, over a stand-in of librdkafka that is built with it

$(BUILD)/tsan-kafka: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/tsan/*.c)) \
		$(BUILD)/ports/log_kafka.o $(BUILD)/ports/log_kafka_reader.o $(BUILD)/ports/log_kafka_ends.o $(ARCHIVE)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

tsan:
	@$(MAKE) --no-print-directory BUILD=build/tsan SAN=thread build/tsan/tsan-kafka
	@build/tsan/tsan-kafka

# ---- fuzz: one target a file; with clang and SAN=fuzzer-no-link libFuzzer drives it, else play.c gives it files

FUZZ := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(filter-out tests/fuzz/play.c,$(wildcard tests/fuzz/*.c)))
FUZZ_DRIVER = $(if $(findstring fuzzer,$(SAN)),-fsanitize=fuzzer,$(BUILD)/tests/fuzz/play.o)

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/play.o $(FOLDS) $(ARCHIVE)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $< $(FUZZ_DRIVER) $(FOLDS) $(ARCHIVE) $(LIBS) -o $@

fuzz-targets: $(FUZZ)

fuzz:
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang SAN=fuzzer-no-link,address,undefined \
		CFLAGS="-O1 -g -Wno-unknown-warning-option" fuzz-targets
	@tests/fuzz/run

# ---- fault: rounds of faults on these programs; the ledger says which seeds are done.
# KIND=, ROUNDS=, SEED=, STORM=, LEDGER=, BROKEN=

KIND ?= kills
ROUNDS ?= 1
LEDGER ?= build/faults.jsonl

fault:
	@/usr/bin/python3 tests/fault/campaign.py --kind $(KIND) --rounds $(ROUNDS) --ledger $(LEDGER) \
		$(if $(SEED),--seed $(SEED)) $(if $(STORM),--storm $(STORM)) $(if $(BROKEN),--broken $(BROKEN))

# Measurements on a broker and a Redis of their own, each a line of the ledger or one a service: SEED=, LEDGER=, and
# KILLS=, RATE= | EVENTS= | MINUTES=, RATE=.
MEASURE = /usr/bin/python3 tests/fault/$@.py --ledger $(LEDGER) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE))

recovery: all
	@$(MEASURE) $(if $(KILLS),--kills $(KILLS))

rebuild: all
	@$(MEASURE) $(if $(EVENTS),--count $(EVENTS))

soak: all
	@$(MEASURE) $(if $(MINUTES),--minutes $(MINUTES))

# docs/faults.md, from the ledger beside it.
faults-page:
	@/usr/bin/python3 tests/fault/report.py

# ---- checks

# Tests print in the order of their cost; the first that fails ends the run.
unit: $(UNIT)
	@tests/run-c $(UNIT)

SEEDS ?= 1 100
sim: $(SIM)
	@$(SIM) $(SEEDS)

# The same over thousands of seeds, each chunk a line of LEDGER; what is in it is not run again.
sim-campaign: $(SIM)
	@tests/sim/campaign $(SEEDS) $(LEDGER)

# Builds that are broken on purpose: each must fail, or the tests see nothing.
broken:
	@tests/broken/run

# All runs of the protocol of remediate/ in a model, and of orders that are known to be broken. ROWS= picks some.
model:
	@tests/model/run $(ROWS)

flow: $(FLOW)
	@tests/run-c $(FLOW)

live: all $(LIVE)
	@/usr/bin/python3 -m pytest -q -x tests/live

rooms:
	@tests/rooms

FORMATTED = $(wildcard core/*.[ch] core/stats/*.[ch] ports/*.[ch] ingest/*.[ch] detectors/*.[ch] \
	alerts/*.[ch] remediate/*.[ch] console/*.[ch] ctl/*.[ch] demo/*.[ch] bench/*.[ch] \
	tests/unit/*.c tests/flow/*.c tests/sim/*.[ch] tests/torture/*.c tests/live/*.[ch] tests/fuzz/*.[ch] tests/tsan/*.[ch])

format:
	@clang-format --dry-run -Werror $(FORMATTED)

lint:
	@cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -I. --enable=warning,portability \
		--suppress=missingIncludeSystem --suppress=varFuncNullUB --suppress=ctuuninitvar \
		$(filter %.c,$(filter-out tests/%,$(FORMATTED)))

# Both compilers without a warning, and everything under the sanitizers.
warnings:
	@$(MAKE) --no-print-directory WERROR=1 BUILD=build/gcc CC=gcc objects
	@$(MAKE) --no-print-directory WERROR=1 BUILD=build/clang CC=clang objects

programs: $(LIVE)

objects: $(OBJECTS) $(ROOM_SOURCES:%.c=$(BUILD)/%.o)

sanitizers:
	@$(MAKE) --no-print-directory SAN=address,undefined unit flow all

check: rooms format lint warnings unit flow model sim torture broken sanitizers tsan live

# ---- the two commands of README

test:
	@tests/setup
	@$(MAKE) --no-print-directory -j2 all programs
	@tests/all

demo:
	@tests/setup
	@$(MAKE) --no-print-directory all
	@demo/run $(TRACE)

bench: all
	@bench/run

clean:
	rm -rf build

# ---- installing: PREFIX, SYSCONFDIR, DESTDIR as everywhere; docs/operations.md says what comes then

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR := $(DESTDIR)$(PREFIX)/bin
UNITDIR := $(DESTDIR)$(PREFIX)/lib/systemd/system
CONFIGDIR := $(DESTDIR)$(SYSCONFDIR)/modelwatch
INSTALLED := $(SERVICES:%=$(BUILD)/modelwatch-%) $(BUILD)/modelwatch
UNITS := $(patsubst systemd/%,%,$(wildcard $(addprefix systemd/,*.service *.target *.slice *.d/*.conf)))

install: $(INSTALLED)
	install -d $(BINDIR) $(UNITDIR)/modelwatch-.service.d $(CONFIGDIR)
	install -m 755 $(INSTALLED) $(BINDIR)
	cd systemd && install -m 644 $(filter-out %.conf,$(UNITS)) $(UNITDIR)
	cd systemd && install -m 644 $(filter %.conf,$(UNITS)) $(UNITDIR)/modelwatch-.service.d
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|; s|/etc/modelwatch/|$(SYSCONFDIR)/modelwatch/|' $(addprefix $(UNITDIR)/,$(filter %.service,$(UNITS)))
	install -m 644 config/modelwatch.yaml $(CONFIGDIR)/modelwatch.yaml.example

# What operators wrote stays: the configuration, its secrets, drop-ins.
uninstall:
	rm -f $(addprefix $(BINDIR)/,$(notdir $(INSTALLED))) $(addprefix $(UNITDIR)/,$(UNITS)) $(CONFIGDIR)/modelwatch.yaml.example
	rmdir --ignore-fail-on-non-empty $(UNITDIR)/modelwatch-.service.d $(CONFIGDIR)

sandbox: all $(LIVE)
	@/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/live/test_sandbox.py

.PHONY: tsan fault recovery rebuild soak faults-page all programs clean unit flow model sim sim-campaign torture live rooms format lint warnings objects sanitizers check test demo bench \
	install uninstall sandbox \
	fuzz fuzz-targets broken
.SECONDARY:
-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d)
