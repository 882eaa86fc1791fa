//! Texts with `*` for any characters, none included; `\*` and `\\` stand for themselves.

/// A compiled wildcard: the literal texts between its stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    parts: Vec<String>,
}

impl Wildcard {
    /// Compiles a wildcard; what was expected, where it is not one.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = vec![String::new()];
        let mut was_star = false;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let literal = match character {
                '*' if was_star => return Err("no two * beside each other"),
                '*' => {
                    parts.push(String::new());
                    was_star = true;
                    continue;
                }
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    _ => return Err("a * or a \\ after a \\"),
                },
                literal => literal,
            };
            was_star = false;
            if let Some(last) = parts.last_mut() {
                last.push(literal);
            }
        }
        Ok(Self { parts })
    }

    /// What every match begins with.
    pub fn prefix(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    /// Whether it is this text. Each part is taken where it first occurs, which is right since what is between is free: linear in the
    /// text for each part, whatever the text.
    pub fn accepts(&self, text: &str) -> bool {
        let [first, rest @ ..] = self.parts.as_slice() else { return false };
        let Some((last, middle)) = rest.split_last() else { return text == first };
        let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            let Some(at) = left.find(part.as_str()) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(pattern: &str, text: &str) -> bool {
        Wildcard::parse(pattern).unwrap().accepts(text)
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("*.png", "a.png", true),
            ("*.png", ".png", true),
            ("*.png", "a.jpg", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            (r"2\*3", "2*3", true),
            (r"2\*3", "2x3", false),
            (r"a\\*", r"a\b", true),
            ("é*é", "éé", true),
        ] {
            assert_eq!(accepts(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_wildcard_is_refused() {
        for wrong in ["a**b", r"a\b", "a\\"] {
            assert!(Wildcard::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The definition, by trying every length for each star.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|taken| slow(rest, &text[taken..])),
            Some((literal, rest)) => text.first() == Some(literal) && slow(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assume!(!pattern.contains("**"));
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(accepts(&pattern, &text), slow(&characters(&pattern), &characters(&text)));
        }
    }
}
