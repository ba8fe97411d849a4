//! Node.js: the shared library is itself a Node-API module, which costs a fifth less than calling the C functions
//! through a foreign-function package, and needs no other package.
//!
//! What is here takes values apart and puts answers together; rules are the core's. Strings of the hot path are
//! copied to the stack. Each environment (the main thread, each worker) has owners of the client of its own: a worker
//! that is terminated runs no more JavaScript, so that an environment's end gives them back by itself.

mod call;
mod functions;
mod life;
mod values;

use std::ffi::CStr;
use std::sync::Once;

use napi_sys as napi;

use functions::FUNCTIONS;
use life::Life;
use values::{Env, Outcome, Value, done, int, made, string};

use crate::capi;
use crate::sys;

/// Node 12 has this version of Node-API, and so has everything later.
const NODE_API: i32 = 3;
/// What the JavaScript beside this expects; raised when a function changes.
const FACE: i32 = 4;

fn register(env: Env, exports: Value) -> Outcome<()> {
    let set = |name: &CStr, value: Value| {
        // SAFETY: values of the environment that registers, and a C string.
        done(unsafe { napi::napi_set_named_property(env, exports, name.as_ptr(), value) })
    };
    let life = Life::begin(env)?;
    for (name, function) in FUNCTIONS {
        // SAFETY: a C string, and data that lives as long as the environment.
        let value = made(|out| unsafe {
            napi::napi_create_function(
                env,
                name.as_ptr(),
                name.count_bytes() as isize,
                Some(function),
                life.cast(),
                out,
            )
        })?;
        set(name, value)?;
    }
    set(c"version", string(env, env!("CARGO_PKG_VERSION"))?)?;
    set(c"face", int(env, FACE)?)
}

/// Node looks this up when it loads the library as an addon; once for each environment.
///
/// # Safety
/// Called by Node alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: Env, exports: Value) -> Value {
    static LOADED: Once = Once::new();
    capi::guard((), || {
        LOADED.call_once(|| {
            sys::pin_image();
            // SAFETY: nothing of it is used before. What it returns keeps the host's symbols, and is kept for ever.
            std::mem::forget(unsafe { napi::setup() });
        });
        // What has failed here is missed by the JavaScript, which asks for `face`.
        let _ = register(env, exports);
    });
    exports
}

/// The version of Node-API that the module wants.
#[unsafe(no_mangle)]
pub extern "C" fn node_api_module_get_api_version_v1() -> i32 {
    NODE_API
}
