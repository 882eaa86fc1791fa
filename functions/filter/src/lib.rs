//! Keeps events of an amount of 500 or more and writes `{id, user, kind, amount, fee}`, fee = amount * 0.029 + 0.30.
//!
//! The answer is byte for byte that of Jackson's data binding on a Java virtual machine (numbers as `Double.toString` prints them), so
//! that the two can be compared. A value is scanned once, without building a tree; what the scanner does not take for certain (escapes,
//! exponents, nested names) is left to `serde_json`.

mod event;
mod number;

use millstream::{Output, Record, Transform};

/// What an event's amount must reach.
const AMOUNT_MIN: f64 = 500.0;

/// The function: it has no settings and no state.
pub struct Filter;

impl Transform for Filter {
    fn configure(_settings: &str) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), String> {
        let value = record.value().ok_or("the record has no value")?;
        if let Some(event) = event::scan(value) {
            if event.amount.value >= AMOUNT_MIN {
                out.value_with(|to| event.write(to));
            }
            return Ok(());
        }
        let event = event::Parsed::parse(value)?;
        if event.amount >= AMOUNT_MIN {
            out.value(event.json());
        }
        Ok(())
    }
}

millstream::export!(Filter);

/// What an event of that amount costs.
fn fee(amount: f64) -> f64 {
    amount * 0.029 + 0.30
}
