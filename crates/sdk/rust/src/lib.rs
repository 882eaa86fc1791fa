//! Write Millstream functions in Rust: records in, records out, compiled to a WebAssembly component.
//!
//! ```
//! use millstream::{Output, Record, Transform};
//!
//! struct Shout;
//!
//! impl Transform for Shout {
//!     fn configure(_settings: &str) -> Result<Self, String> {
//!         Ok(Shout)
//!     }
//!
//!     fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), String> {
//!         let text = record.text()?;
//!         out.value(text.to_uppercase());
//!         Ok(())
//!     }
//! }
//!
//! millstream::export!(Shout);
//! # fn main() {}
//! ```
//!
//! What a record becomes is said with [`Output`]: [`Output::keep`] passes it on as it is, [`Output::value`] with another value, [`Output::row`]
//! in any other way and to any of the function's output topics. A record for which nothing is said is dropped; one for which an error is
//! returned goes the way of the function's error policy. This crate has no dependencies and knows nothing of the machine.

mod abi;
mod batch;
mod layout;
mod log;
mod output;

pub use batch::{Batch, Headers, Record};
pub use log::{log, Level};
pub use output::{Output, Row};

/// A function. One instance sees the batches of one partition, in order; what it remembers is lost when it is restarted or moved.
pub trait Transform: Sized {
    /// Makes the function from its deployment's settings, a JSON object (`{}` when none were given).
    ///
    /// # Errors
    /// Words for a person: the deployment is refused with them.
    fn configure(settings: &str) -> Result<Self, String>;

    /// Says what becomes of one record. What was said before an error is taken back.
    ///
    /// # Errors
    /// Words for a person: why this record can't be processed.
    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), String>;

    /// Processes a whole batch; by default each record by itself.
    ///
    /// # Errors
    /// Words for a person: why nothing can be made of the whole batch.
    fn process_batch(&mut self, batch: &Batch, out: &mut Output) -> Result<(), String> {
        for record in batch.iter() {
            out.begin(record.index());
            if let Err(message) = self.process(&record, out) {
                out.fail(&message);
            }
        }
        Ok(())
    }
}

/// Makes a type that is a [`Transform`] the function of this component. Once per crate.
#[macro_export]
macro_rules! export {
    ($transform:ty) => {
        const _: () = {
            static SLOT: $crate::guest::Slot<$transform> = $crate::guest::Slot::new();

            #[cfg_attr(target_arch = "wasm32", export_name = "millstream:transform/transform@1.0.0#configure")]
            unsafe extern "C" fn configure(at: *mut u8, len: usize) -> *mut u8 {
                // SAFETY: the host passes a buffer it had this guest allocate, and calls one export at a time.
                unsafe { SLOT.configure(at, len) }
            }

            #[cfg_attr(target_arch = "wasm32", export_name = "millstream:transform/transform@1.0.0#process")]
            unsafe extern "C" fn process(at: *mut u8, len: usize) -> *mut u8 {
                // SAFETY: as above.
                unsafe { SLOT.process(at, len) }
            }

            #[cfg_attr(
                target_arch = "wasm32",
                export_name = "cabi_post_millstream:transform/transform@1.0.0#configure"
            )]
            unsafe extern "C" fn after_configure(at: *mut u8) {
                // SAFETY: `at` is what the export returned.
                unsafe { $crate::guest::free_answer(at) }
            }

            #[cfg_attr(target_arch = "wasm32", export_name = "cabi_post_millstream:transform/transform@1.0.0#process")]
            unsafe extern "C" fn after_process(at: *mut u8) {
                // SAFETY: `at` is what the export returned.
                unsafe { $crate::guest::free_answer(at) }
            }

            // Natively (in the function's own unit tests) nothing calls the exports.
            #[cfg(not(target_arch = "wasm32"))]
            const _: [unsafe extern "C" fn(*mut u8, usize) -> *mut u8; 2] = [configure, process];
            #[cfg(not(target_arch = "wasm32"))]
            const _: [unsafe extern "C" fn(*mut u8); 2] = [after_configure, after_process];
        };
    };
}

/// What [`export!`] expands to; not for direct use.
#[doc(hidden)]
pub mod guest {
    pub use crate::abi::{free_answer, Slot};
}
