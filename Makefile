# V-Stack. `make help` lists the targets.

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT    ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS   := -X main.version=$(VERSION) -X main.commit=$(COMMIT)
# Inputs that `make test` gives each fuzz target; `make fuzz` gives the time FUZZLONG.
FUZZTIME  ?= 1000x
FUZZLONG  ?= 60s
# One package's tests may take this long, with -race on two slow cores that have other work, too.
TESTTIME  ?= 40m
# Packages whose tests run at once. They wait more than they work: more of them than there are
# processors keep those busy.
TESTPACKAGES ?= $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN) / 2)))
# Random schedules of the ChunkPaxos simulator that `make soak` plays, and how many
# times as many crash points of the superblock as a plain test.
export SCHEDULES ?= 1000000
export CRASHES   ?= 100
# Arguments of `make demo`: make demo ARGS='film.mp4 --once'
ARGS      ?=

.DEFAULT_GOAL := help
.PHONY: help build web demo test lint fuzz bench soak soak-lab release readme deps deps-test clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: web ## Build bin/vstack with its pages
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/vstack ./cmd/vstack

web: ## Bundle the pages into web/dist, where npm is there
	@.ci/web

demo: deps build ## Start three hosts here, store a video, play it back verified (ARGS='FILE --once')
	@bin/vstack demo --dir lab $(ARGS)

test: ## All tests with the race detector, then FUZZTIME inputs for each fuzz target
	$(GO) test -race -vet=off -p $(TESTPACKAGES) -timeout $(TESTTIME) ./...
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

lint: ## gofmt, go vet (which test leaves out), staticcheck; whether client commands build on macOS
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; \
	if [ -n "$$unformatted" ]; then echo "gofmt -w wanted:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	GOOS=darwin $(GO) build -o /dev/null ./cmd/vstack

fuzz: ## Each fuzz target for FUZZLONG
	@FUZZTIME=$(FUZZLONG) .ci/fuzz

bench: ## Go benchmarks, each beside its baseline
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

soak: ## The evidence for ChunkPaxos and the superblock, and one summary of its figures
	@.ci/soak

soak-lab: ## Every other test that takes long: media inputs, drills of real labs
	VSTACK_SOAK=1 $(GO) test -timeout 120m -count 1 -p 1 ./uploader/... ./bench/... ./cmd/vstack/...

release: ## Static binaries, archives, Debian packages and checksums in dist/, the same bytes every time
	@.ci/release

readme: ## Run every command of the README in a fresh clone
	@.ci/readme

deps: ## Install what V-Stack runs and lacks here: ffmpeg
	@.ci/deps

deps-test: deps ## Also what some tests use: curl, chromium, ngtcp2's client, strace (best effort)
	@.ci/deps-test

clean: ## Remove what was built; the lab directory stays
	rm -rf bin out dist web/node_modules web/dist/assets web/dist/index.html
