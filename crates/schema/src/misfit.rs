//! Why a value does not fit its schema: a reason, and the path to the field, put together only when there is one.

/// What a step of decoding comes to.
pub(crate) type Fit<T = ()> = Result<T, Box<Misfit>>;

/// A value that does not fit.
#[derive(Debug)]
pub(crate) struct Misfit {
    path: Vec<String>,
    reason: String,
}

impl Misfit {
    #[cold]
    pub(crate) fn new(reason: String) -> Box<Self> {
        Box::new(Self { path: Vec::new(), reason })
    }

    /// Says that it was found within the field of that name.
    #[cold]
    pub(crate) fn within(mut self: Box<Self>, field: &str) -> Box<Self> {
        self.path.push(field.to_owned());
        self
    }

    /// The words for a person.
    pub(crate) fn words(&self) -> String {
        if self.path.is_empty() {
            return self.reason.clone();
        }
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        format!("field {:?}: {}", path.join("."), self.reason)
    }
}
