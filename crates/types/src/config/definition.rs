//! What an option is: name, type, default, range and one line of purpose.

/// The type of an option's value, as DescribeConfigs reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A 64-bit floating point number.
    Double,
    /// Any text.
    String,
    /// Texts separated by commas.
    List,
}

/// The definition of one option: the only place that knows it.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDef {
    /// Kafka's name where Kafka has the option.
    pub name: &'static str,
    /// The type of the value.
    pub kind: ConfigType,
    /// The default, as text.
    pub default: &'static str,
    /// The smallest number accepted.
    pub min: Option<i64>,
    /// The largest number accepted.
    pub max: Option<i64>,
    /// A number that is accepted though it is out of the range.
    pub or: Option<i64>,
    /// The texts accepted; any where this is empty.
    pub one_of: &'static [&'static str],
    /// The broker option that gives the default, where one does (a DescribeConfigs synonym).
    pub synonym: Option<&'static str>,
    /// Other broker options that give the default where `synonym` is not set, the first that is set: name, and this option's units in one of its.
    pub coarser: &'static [(&'static str, i64)],
    /// Whether it may be a list of nothing though only some texts are accepted in it.
    pub may_be_empty: bool,
    /// As a broker's option it is not set by default, and another gives the value: DescribeConfigs tells null.
    pub falls_back: bool,
    /// As a broker's option it may be set while the broker runs.
    pub dynamic: bool,
    /// Its value is nobody's to see: DescribeConfigs tells that there is one, and null.
    pub secret: bool,
    /// Purpose, unit, and the effect of raising it.
    pub doc: &'static str,
}

impl ConfigDef {
    /// An option with the given name, type, default and documentation, without a range.
    #[must_use]
    pub const fn new(name: &'static str, kind: ConfigType, default: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default,
            min: None,
            max: None,
            or: None,
            one_of: &[],
            synonym: None,
            coarser: &[],
            may_be_empty: false,
            falls_back: false,
            dynamic: false,
            secret: false,
            doc,
        }
    }

    /// The same, set while the broker runs.
    #[must_use]
    pub const fn dynamic(mut self) -> Self {
        self.dynamic = true;
        self
    }

    /// The same with its smallest number.
    #[must_use]
    pub const fn min(mut self, min: i64) -> Self {
        self.min = Some(min);
        self
    }

    /// The same with its largest number.
    #[must_use]
    pub const fn max(mut self, max: i64) -> Self {
        self.max = Some(max);
        self
    }

    /// The same with a number that is accepted besides its range.
    #[must_use]
    pub const fn or(mut self, number: i64) -> Self {
        self.or = Some(number);
        self
    }

    /// The same with the texts accepted.
    #[must_use]
    pub const fn one_of(mut self, texts: &'static [&'static str]) -> Self {
        self.one_of = texts;
        self
    }

    /// The same, where a list may also have nothing in it.
    #[must_use]
    pub const fn or_nothing(mut self) -> Self {
        self.may_be_empty = true;
        self
    }

    /// The same with the broker option that gives its default.
    #[must_use]
    pub const fn synonym(mut self, name: &'static str) -> Self {
        self.synonym = Some(name);
        self
    }

    /// The same with further broker options that give its default, in coarser units.
    #[must_use]
    pub const fn coarser(mut self, options: &'static [(&'static str, i64)]) -> Self {
        self.coarser = options;
        self.falls_back()
    }

    /// The same, not set on a broker by default.
    #[must_use]
    pub const fn falls_back(mut self) -> Self {
        self.falls_back = true;
        self
    }

    /// The same, with a value that is nobody's to see.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Every broker option that gives the default, the first that is set winning, each with this option's units in one of its.
    pub fn inherited(&self) -> impl Iterator<Item = (&'static str, i64)> {
        self.synonym.map(|name| (name, 1)).into_iter().chain(self.coarser.iter().copied())
    }

    /// Checks a value's type and range.
    ///
    /// # Errors
    /// [`ConfigError::Value`] that says what was expected.
    pub fn check(&self, value: &str) -> Result<(), ConfigError> {
        match self.kind {
            ConfigType::Boolean if !matches!(value, "true" | "false") => {
                Err(self.unexpected(value, "true or false".into()))
            }
            ConfigType::Int => self.check_integer(value, i64::from(i32::MIN), i64::from(i32::MAX)),
            ConfigType::Long => self.check_integer(value, i64::MIN, i64::MAX),
            ConfigType::Double => self.check_double(value),
            ConfigType::String => self.check_text(value, value),
            ConfigType::List if self.may_be_empty && value.trim().is_empty() => Ok(()),
            ConfigType::List => value.split(',').map(str::trim).try_for_each(|item| self.check_text(value, item)),
            ConfigType::Boolean => Ok(()),
        }
    }

    fn check_integer(&self, value: &str, lowest: i64, highest: i64) -> Result<(), ConfigError> {
        let (min, max) = (self.min.unwrap_or(lowest), self.max.unwrap_or(highest));
        match value.trim().parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) || self.or == Some(number) => Ok(()),
            _ => {
                let or = self.or.map_or_else(String::new, |number| format!(", or {number}"));
                Err(self.unexpected(value, format!("an integer from {min} to {max}{or}")))
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "ranges of doubles are small integers")]
    fn check_double(&self, value: &str) -> Result<(), ConfigError> {
        let (min, max) = (self.min.map_or(f64::MIN, |min| min as f64), self.max.map_or(f64::MAX, |max| max as f64));
        match value.trim().parse::<f64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => Err(self.unexpected(value, format!("a number from {min} to {max}"))),
        }
    }

    fn check_text(&self, value: &str, item: &str) -> Result<(), ConfigError> {
        if self.one_of.is_empty() || self.one_of.contains(&item) {
            return Ok(());
        }
        Err(self.unexpected(value, format!("one of {}", self.one_of.join(", "))))
    }

    fn unexpected(&self, value: &str, expected: String) -> ConfigError {
        ConfigError::Value { name: self.name, value: value.to_owned(), expected }
    }
}

/// Why an option was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No option has this name.
    #[error("unknown option {name:?}; `millstream config` lists the options")]
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// The value is not of the option's type or range.
    #[error("invalid value {value:?} for {name}: expected {expected}")]
    Value {
        /// The option.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// What would be accepted.
        expected: String,
    },
}
