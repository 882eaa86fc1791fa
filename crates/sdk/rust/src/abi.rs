//! The component model's canonical ABI for the world `millstream:transform/function@1.0.0`, by hand: two exports, two imports.
//!
//! `transform-1.0.0.world` is the world's type as `wit-bindgen rust wit/transform-1.0.0 --world function` (0.63) encodes it; the linker
//! `wasm-component-ld` turns a core module that has it as a custom section into a component.

use crate::{Batch, Output, Transform};
use std::alloc::{alloc, dealloc, handle_alloc_error, realloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

const WORLD: &[u8] = include_bytes!("transform-1.0.0.world");

#[cfg(target_arch = "wasm32")]
#[used]
#[link_section = "component-type:millstream:transform@1.0.0:function:encoded world"]
static WORLD_SECTION: [u8; WORLD.len()] = *include_bytes!("transform-1.0.0.world");

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "millstream:transform/sink@1.0.0")]
    extern "C" {
        #[link_name = "emit"]
        pub fn emit(at: *const u8, len: usize);
    }
    #[link(wasm_import_module = "millstream:transform/logger@1.0.0")]
    extern "C" {
        #[link_name = "log"]
        pub fn log(level: i32, at: *const u8, len: usize);
    }
}

/// Natively (in unit tests) there is no host: what is emitted goes nowhere, and lines go to standard error.
#[cfg(not(target_arch = "wasm32"))]
mod imports {
    pub unsafe fn emit(_at: *const u8, _len: usize) {
        let _ = super::WORLD;
    }
    pub unsafe fn log(level: i32, at: *const u8, len: usize) {
        // SAFETY: `log` below passes a string slice's parts.
        let text = unsafe { std::slice::from_raw_parts(at, len) };
        eprintln!("[{level}] {}", String::from_utf8_lossy(text));
    }
}

pub(crate) fn emit(batch: &[u8]) {
    // SAFETY: the host reads `len` bytes at `at` during the call.
    unsafe { imports::emit(batch.as_ptr(), batch.len()) }
}

pub(crate) fn log(level: i32, message: &str) {
    // SAFETY: as for `emit`.
    unsafe { imports::log(level, message.as_ptr(), message.len()) }
}

/// The canonical ABI's allocator: how the host gets room for what it passes.
///
/// # Safety
/// As for [`std::alloc::realloc`]; the host keeps to it.
#[cfg_attr(target_arch = "wasm32", export_name = "cabi_realloc")]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only the host calls it"))]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    if new_len == 0 {
        return ptr::null_mut::<u8>().wrapping_add(align);
    }
    // SAFETY: the host passes a power of two as alignment, and as `old` what this function returned for `old_len`.
    unsafe {
        let layout = Layout::from_size_align_unchecked(if old_len == 0 { new_len } else { old_len }, align);
        let new = if old_len == 0 { alloc(layout) } else { realloc(old, layout, new_len) };
        if new.is_null() {
            handle_alloc_error(layout);
        }
        new
    }
}

/// `result<_, string>` in memory: discriminant, pointer, length, as the host reads it.
#[repr(C)]
struct Answer {
    failed: u32,
    at: *mut u8,
    len: usize,
}

impl Answer {
    fn leak(result: Result<(), String>) -> *mut u8 {
        let answer = match result {
            Ok(()) => Self { failed: 0, at: ptr::null_mut(), len: 0 },
            Err(message) => {
                let text = Box::leak(message.into_bytes().into_boxed_slice());
                Self { failed: 1, at: text.as_mut_ptr(), len: text.len() }
            }
        };
        Box::into_raw(Box::new(answer)).cast()
    }
}

/// Frees what an export returned.
///
/// # Safety
/// `at` comes from [`Slot::configure`] or [`Slot::process`] and is freed once.
pub unsafe fn free_answer(at: *mut u8) {
    // SAFETY: `Answer::leak` made both boxes.
    unsafe {
        let answer = Box::from_raw(at.cast::<Answer>());
        if answer.failed == 1 {
            drop(Box::from_raw(ptr::slice_from_raw_parts_mut(answer.at, answer.len)));
        }
    }
}

/// Takes over a buffer that the host had [`cabi_realloc`] allocate.
unsafe fn take(at: *mut u8, len: usize) -> Vec<u8> {
    if len == 0 {
        return Vec::new();
    }
    // SAFETY: allocated by the global allocator with alignment 1 and exactly this length.
    unsafe { Vec::from_raw_parts(at, len, len) }
}

/// Where the component's one function lives.
pub struct Slot<T>(UnsafeCell<Option<(T, Output)>>);

// SAFETY: a component instance has one thread, and the host calls one export at a time.
unsafe impl<T> Sync for Slot<T> {}

impl<T: Transform> Slot<T> {
    /// Empty until the host configures it.
    #[allow(clippy::new_without_default)]
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// The export `configure`.
    ///
    /// # Safety
    /// `at` and `len` are a buffer from [`cabi_realloc`] that holds UTF-8, and no other export runs.
    pub unsafe fn configure(&self, at: *mut u8, len: usize) -> *mut u8 {
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|panic| log(3, &panic.to_string())));
        // SAFETY: what the caller promises.
        let (settings, slot) = unsafe { (take(at, len), &mut *self.0.get()) };
        let made = String::from_utf8(settings)
            .map_err(|_| "the settings are not UTF-8".to_owned())
            .and_then(|settings| T::configure(&settings));
        Answer::leak(made.map(|transform| *slot = Some((transform, Output::new()))))
    }

    /// The export `process`.
    ///
    /// # Safety
    /// `at` and `len` are a buffer from [`cabi_realloc`], and no other export runs.
    pub unsafe fn process(&self, at: *mut u8, len: usize) -> *mut u8 {
        // SAFETY: what the caller promises.
        let (packed, slot) = unsafe { (take(at, len), &mut *self.0.get()) };
        let Some((transform, out)) = slot else {
            return Answer::leak(Err("process was called before configure".into()));
        };
        Answer::leak(Batch::unpack(&packed).and_then(|batch| {
            out.clear(batch.len());
            transform.process_batch(&batch, out)?;
            emit(out.pack());
            Ok(())
        }))
    }
}

/// Frees memory as [`cabi_realloc`] allocated it; for tests of this file.
#[cfg(test)]
unsafe fn free(at: *mut u8, len: usize) {
    // SAFETY: the test's own allocation.
    unsafe { dealloc(at, Layout::from_size_align_unchecked(len, 1)) }
}

#[cfg(not(test))]
const _: unsafe fn(*mut u8, Layout) = dealloc;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_grows_what_it_gave() {
        // SAFETY: old sizes are those that were asked for.
        unsafe {
            let first = cabi_realloc(ptr::null_mut(), 0, 1, 3);
            ptr::copy_nonoverlapping(b"abc".as_ptr(), first, 3);
            let second = cabi_realloc(first, 3, 1, 4096);
            assert_eq!(std::slice::from_raw_parts(second, 3), b"abc");
            free(second, 4096);
        }
    }

    #[test]
    fn an_answer_is_freed_with_its_message() {
        let at = Answer::leak(Err("no".into()));
        // SAFETY: just leaked, freed once.
        unsafe {
            assert_eq!((*at.cast::<Answer>()).failed, 1);
            free_answer(at);
        }
    }
}
