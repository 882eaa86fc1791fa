//! Paths with placeholders: pure.

use chrono::DateTime;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Partition,
    /// A form of the record's time.
    Time(&'static str),
}

const NAMES: [(&str, &str); 5] = [("date", "%Y-%m-%d"), ("year", "%Y"), ("month", "%m"), ("day", "%d"), ("hour", "%H")];

impl Template {
    /// The error says what was expected.
    pub fn parse(path: &str) -> Result<Self, String> {
        if path.is_empty() || path.split('/').any(|folder| matches!(folder, "" | "." | "..")) {
            return Err("folders separated by single slashes, none of them empty, . or ..".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a closing brace for each opening one")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match name {
                "topic" => Part::Topic,
                "partition" => Part::Partition,
                name => {
                    let known = NAMES.iter().find(|(known, _)| *known == name);
                    Part::Time(known.map(|(_, form)| *form).ok_or_else(|| format!("one of {{topic}}, {{partition}}, {{date}}, {{year}}, {{month}}, {{day}}, {{hour}}, not {{{name}}}"))?)
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The path of a record.
    pub fn render(&self, topic: &str, partition: i32, timestamp_ms: i64) -> String {
        let time = DateTime::from_timestamp_millis(timestamp_ms).unwrap_or_default();
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Topic => topic.to_owned(),
            Part::Partition => partition.to_string(),
            Part::Time(form) => time.format(form).to_string(),
        };
        self.0.iter().map(part).collect()
    }

    /// The length of time, in milliseconds, within which the path of one partition's records does not change; none where it never does.
    pub fn window_ms(&self) -> Option<i64> {
        const HOUR: i64 = 3_600_000;
        let form = |part: &Part| match part {
            Part::Time("%H") => Some(HOUR),
            Part::Time(_) => Some(24 * HOUR),
            Part::Text(_) | Part::Topic | Part::Partition => None,
        };
        self.0.iter().filter_map(form).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn placeholders_are_of_the_record() {
        let template = Template::parse("a/{topic}/y={year}/m={month}/d={day}/h={hour}/{date}-p{partition}").unwrap();
        assert_eq!(template.render("t", 3, 1_357_034_400_000), "a/t/y=2013/m=01/d=01/h=10/2013-01-01-p3");
        assert_eq!((template.window_ms(), Template::parse("x/{topic}").unwrap().window_ms()), (Some(3_600_000), None));
    }

    #[test]
    fn a_path_that_can_not_be_is_told_why() {
        for (path, expected) in [
            ("{what}", "one of {topic}"),
            ("{topic", "a closing brace"),
            ("a//b", "folders"),
            ("../a", "folders"),
            ("", "folders"),
        ] {
            assert!(Template::parse(path).unwrap_err().starts_with(expected), "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_path_stays_within_its_window(first in -4_000_000_000_000i64..4_000_000_000_000, later in 0i64..100_000_000) {
            let template = Template::parse("{topic}/{date}/{hour}").unwrap();
            let window = template.window_ms().unwrap();
            let same = first.div_euclid(window) == (first + later).div_euclid(window);
            prop_assert_eq!(template.render("t", 0, first) == template.render("t", 0, first + later), same);
        }
    }
}
