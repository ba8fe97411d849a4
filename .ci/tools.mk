# What make sets up for itself in .tools/. Each stamp names what it was made from, so a second run
# starts at once and a changed pin makes it anew.

NOX := .tools/venv/bin/nox
$(NOX): requirements/tools.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo 'make: $(PYTHON) must be Python 3.10 or later' >&2; exit 1; }
	$(PYTHON) -m venv --clear .tools/venv
	.tools/venv/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

# Nothing here does without Rust, and its linker is the C compiler: say so in one line.
TOOLCHAIN := toolchain
.PHONY: toolchain
toolchain:
	@for tool in $(CARGO) cc; do command -v "$$tool" >/dev/null || \
		{ echo "make: $$tool is missing, and nothing builds without it (make doctor)" >&2; exit 1; }; done

# A tool that runs for seconds is not worth five minutes of optimising.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := .tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
$(CARGO_DENY): | toolchain
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		$(CARGO) install --locked --root .tools/cargo-deny-$(CARGO_DENY_VERSION) cargo-deny@$(CARGO_DENY_VERSION)
