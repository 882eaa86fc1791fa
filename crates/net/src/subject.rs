//! The subject of a certificate as Kafka's default principal names it: RFC 2253, as Java writes it.
//!
//! ```text
//! Certificate ::= SEQUENCE { SEQUENCE { [0] version OPTIONAL, serial, algorithm, issuer, validity, subject, .. }, .. }
//! Name        ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
//! ```

use std::fmt::Write;

const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// Attributes that RFC 2253 has a word for, by their DER.
const WORDS: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// The subject of a certificate in DER, the most exact part first; none where it is not a certificate.
pub fn subject(certificate: &[u8]) -> Option<String> {
    let (certificate, _) = tagged(SEQUENCE, certificate)?;
    let (mut rest, _) = tagged(SEQUENCE, certificate)?;
    if rest.first() == Some(&VERSION) {
        (_, _, rest) = element(rest)?;
    }
    for _serial_algorithm_issuer_validity in 0..4 {
        (_, _, rest) = element(rest)?;
    }
    let (mut name, _) = tagged(SEQUENCE, rest)?;
    let mut parts = Vec::new();
    while !name.is_empty() {
        let (mut set, others) = tagged(SET, name)?;
        name = others;
        let mut values = Vec::new();
        while !set.is_empty() {
            let (attribute, others) = tagged(SEQUENCE, set)?;
            set = others;
            values.push(value(attribute)?);
        }
        parts.push(values.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn value(attribute: &[u8]) -> Option<String> {
    let (kind, whole) = tagged(OBJECT_IDENTIFIER, attribute)?;
    let (tag, content, _) = element(whole)?;
    let word = WORDS.iter().find(|(der, _)| *der == kind).map(|(_, word)| *word);
    match (word, text(tag, content)) {
        (Some(word), Some(text)) => Some(format!("{word}={}", escaped(&text))),
        (word, _) => {
            let mut told = word.map_or_else(|| dotted(kind), str::to_owned) + "=#";
            whole.iter().for_each(|byte| {
                let _ = write!(told, "{byte:02x}");
            });
            Some(told)
        }
    }
}

fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, PrintableString, IA5String
        0x0c | 0x13 | 0x16 => String::from_utf8(content.to_vec()).ok(),
        // T61String, which Java reads as Latin-1
        0x14 => Some(content.iter().copied().map(char::from).collect()),
        // BMPString
        0x1e => {
            let units: Vec<u16> = content.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let (begins, ends) = (text.len() - text.trim_start_matches(' ').len(), text.trim_end_matches(' ').len());
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        let is_edge = letter == ' ' && (at < begins || at >= ends);
        if is_edge || ",=+<>#;\"\\".contains(letter) {
            out.push('\\');
        }
        match letter {
            '\0' => out.push_str("\\00"),
            letter => out.push(letter),
        }
    }
    out
}

/// An object identifier in numbers: seven bits a byte, the first two numbers in one.
fn dotted(der: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in der {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - first * 40]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

fn tagged(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content, and what comes after.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = der else { return None };
    let (len, rest) = match usize::from(*first) {
        short @ 0..0x80 => (short, rest),
        long => {
            let (len, rest) = rest.split_at_checked(long & 0x7f).filter(|(len, _)| (1..=4).contains(&len.len()))?;
            (len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        match u8::try_from(len) {
            Ok(short) if short < 0x80 => [&[tag, short], content].concat(),
            _ => [&[tag, 0x82, (len >> 8) as u8, len as u8], content].concat(),
        }
    }

    fn certificate(sets: &[&[Attribute<'_>]]) -> Vec<u8> {
        let attribute = |(kind, tag, text): &Attribute<'_>| {
            der(SEQUENCE, &[der(OBJECT_IDENTIFIER, kind), der(*tag, text.as_bytes())].concat())
        };
        let name = sets.iter().flat_map(|set| der(SET, &set.iter().flat_map(attribute).collect::<Vec<_>>()));
        let name = der(SEQUENCE, &name.collect::<Vec<_>>());
        let (version, other) = (der(VERSION, &der(2, &[2])), der(SEQUENCE, &[]));
        let serial = der(2, &[0; 200]);
        let body = [&version[..], &serial, &other, &other, &other, &name, &other].concat();
        der(SEQUENCE, &[der(SEQUENCE, &body), other].concat())
    }

    /// An attribute: what it is, the type of its text, the text.
    type Attribute<'a> = (&'a [u8], u8, &'a str);

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];
    const OU: &[u8] = &[0x55, 4, 11];
    const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

    #[test]
    fn subjects_are_written_as_java_does() {
        let table: [(&[&[Attribute<'_>]], &str); 5] = [
            (&[&[(O, 0x13, "Example")], &[(CN, 0x0c, "client")]], "CN=client,O=Example"),
            (&[&[(CN, 0x0c, "a"), (OU, 0x0c, "b")]], "CN=a+OU=b"),
            (&[&[(CN, 0x0c, " a, \"b\" = c\\;# ")]], "CN=\\ a\\, \\\"b\\\" \\= c\\\\\\;\\#\\ "),
            (&[&[(EMAIL, 0x16, "a@b")], &[(CN, 0x0c, "é")]], "CN=é,1.2.840.113549.1.9.1=#1603614062"),
            (&[], ""),
        ];
        for (sets, expected) in table {
            assert_eq!(subject(&certificate(sets)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_no_certificate_and_no_panic() {
        let whole = certificate(&[&[(O, 0x13, "Example")], &[(CN, 0x0c, "client")]]);
        for len in 0..whole.len() - 2 {
            assert_eq!(subject(&whole[..len]), None, "{len}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = subject(&changed);
            }
        }
    }
}
