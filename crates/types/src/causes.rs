//! An error with what lies beneath it, in one line.

use std::error::Error;

/// The words of an error and of its causes down to the first one, which many libraries leave out of their own ("Connection refused").
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &(dyn Error + 'static))
        }
    }

    #[test]
    fn every_cause_is_named_once() {
        let bottom = Layer("connection refused", None);
        let middle = Layer("error sending request", Some(Box::new(bottom)));
        let top = Layer("can't list: error sending request", Some(Box::new(middle)));
        assert_eq!(with_causes(&top), "can't list: error sending request: connection refused");
    }
}
