# Thin calls only: what a target does stands in the script that it names.
.PHONY: demo test lint fuzz

# Ctrl-C ends it; DEMO_ARGS="--for 60s" lets it end by itself.
demo:
	cargo build --release --bin riverwatts-demo --bin riverwatts-edge --bin riverwatts-cloud
	$${CARGO_TARGET_DIR:-target}/release/riverwatts-demo run $(DEMO_ARGS)

# Installs what the tests need (Debian packages, when root; otherwise names them) and runs everything.
test:
	scripts/test-packages
	cargo build --workspace --bins
	cargo test --workspace

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/cargo-deny check bans licenses sources

# Every fuzz target for SECONDS each.
SECONDS_EACH ?= 60
fuzz:
	scripts/fuzz $(SECONDS_EACH)
