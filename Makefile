# Thin calls only: what a target does stands in the script that it names.
.PHONY: demo test cross lint fuzz bench soak compiler

# Ctrl-C ends it; DEMO_ARGS="--for 60s" lets it end by itself.
demo: compiler
	cargo build --release --bin riverwatts-demo --bin riverwatts-edge --bin riverwatts-cloud
	$${CARGO_TARGET_DIR:-target}/release/riverwatts-demo run $(DEMO_ARGS)

# Installs what the tests need (Debian packages, when root; otherwise names them) and runs everything.
test: compiler
	scripts/test-packages
	scripts/test-js
	cargo build --workspace --bins
	cargo test --workspace
	scripts/test-web

# The gateway for the processor of a Raspberry Pi, and its test under emulation.
cross: compiler
	scripts/cross-build
	scripts/test-packages
	cargo build --workspace --bins
	cargo test --workspace --test cross -- --include-ignored

lint: compiler
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/cargo-deny check bans licenses sources
	scripts/check-js

# Native code (SQLite, ring) is built by the system's C compiler, which also links.
compiler:
	@command -v cc > /dev/null || scripts/packages gcc libc6-dev

# Every fuzz target for SECONDS each.
fuzz: compiler
	scripts/fuzz $(SECONDS_EACH)

# All suites, or SUITE=name; a table, and target/bench/results.jsonl.
bench: compiler
	scripts/bench $(SUITE)

# Kills (KILLS), faulty links (LINKS), simulated days (DAYS), power cuts (CUTS), lost clocks and outages
# (ROUNDS), requests made up from the document of the API (EXAMPLES), and long fuzzing (SECONDS_EACH): hours.
soak: compiler
	scripts/soak
