//! No panic crosses the boundary.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr::{null, null_mut};

use super::status::*;
use super::*;

thread_local!(static PANICS: Cell<bool> = const { Cell::new(false) });

/// Stands at the start of every export in a test build.
pub(super) fn maybe_panic() {
    assert!(!PANICS.get(), "injected");
}

/// Runs the call with a panic inside it.
fn with_panic<R>(call: impl FnOnce() -> R) -> R {
    PANICS.set(true);
    let result = call();
    PANICS.set(false);
    result
}

#[test]
fn a_panic_inside_any_export_becomes_its_status() {
    let config = malti_config_new();
    let (none, mut ticket) = (null_mut(), 0);
    let text = c"x".as_ptr();
    // SAFETY: every pointer is NULL, or valid for the whole call.
    let statuses = unsafe {
        [
            (
                "malti_config_set",
                with_panic(|| malti_config_set(config, text, text, none, 0)),
            ),
            (
                "malti_config_get",
                with_panic(|| malti_config_get(config, text, none, 0)),
            ),
            (
                "malti_config_set_log",
                with_panic(|| malti_config_set_log(config, None, null_mut())),
            ),
            ("malti_init", with_panic(|| malti_init(config, none, 0))),
            ("malti_flush", with_panic(|| malti_flush(0))),
            (
                "malti_flush_begin",
                with_panic(|| malti_flush_begin(&raw mut ticket)),
            ),
            ("malti_flush_wait", with_panic(|| malti_flush_wait(0, 0))),
            ("malti_shutdown", with_panic(|| malti_shutdown(0))),
            (
                "malti_log_next",
                with_panic(|| malti_log_next(null_mut(), none, 0)),
            ),
            (
                "malti_record",
                with_panic(|| malti_record(text, text, 200, 1, null(), null())),
            ),
            (
                "malti_record_n",
                with_panic(|| malti_record_n(text, 1, text, 1, 200, 1, null(), 0, null(), 0, 0)),
            ),
            (
                "malti_record_request",
                with_panic(|| {
                    malti_record_request(
                        text,
                        1,
                        text,
                        1,
                        200,
                        1,
                        null(),
                        0,
                        null(),
                        0,
                        null(),
                        0,
                        null(),
                        0,
                        null(),
                        0,
                        0,
                    )
                }),
            ),
            (
                "malti_reads_header",
                with_panic(|| malti_reads_header(text, 1)),
            ),
            (
                "malti_resolve_consumer",
                with_panic(|| {
                    malti_resolve_consumer(
                        config,
                        null(),
                        0,
                        null(),
                        0,
                        null(),
                        0,
                        null(),
                        0,
                        none,
                        0,
                    )
                }),
            ),
            (
                "malti_resolve_context",
                with_panic(|| malti_resolve_context(config, null(), 0, none, 0)),
            ),
            (
                "malti_normalize_route",
                with_panic(|| malti_normalize_route(text, text, 1, none, 0)),
            ),
            (
                "malti_stats_get",
                with_panic(|| malti_stats_get(null_mut(), 0)),
            ),
            ("malti_stats_json", with_panic(|| malti_stats_json(none, 0))),
        ]
    };
    for (name, status) in statuses {
        assert_eq!(status, MALTI_ERR_PANIC, "{name}");
    }
    assert!(with_panic(|| malti_config_new()).is_null());
    // SAFETY: freeing is contained too, and leaks then; the second call frees.
    unsafe {
        with_panic(|| malti_config_free(config));
        malti_config_free(config);
        assert!(!CStr::from_ptr(with_panic(|| malti_status_str(0))).is_empty());
        assert!(!CStr::from_ptr(malti_version()).is_empty());
    }
    // These are all exports that do anything: the two others only return a constant.
    let sources = ["config", "life", "record", "rules", "stats", "status"]
        .map(|name| std::fs::read_to_string(format!("src/capi/{name}.rs")).unwrap());
    let exports = sources.concat().matches("#[unsafe(no_mangle)]").count();
    assert_eq!(
        exports,
        statuses.len() + ["config_new", "config_free", "status_str"].len() + 2
    );
}
