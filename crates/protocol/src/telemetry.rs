//! OpenTelemetry's metrics, as PushTelemetry carries them: the numbers of gauges and sums, out of their protobuf.
//!
//! ```text
//! MetricsData     1 ResourceMetrics*            ResourceMetrics  2 ScopeMetrics*      ScopeMetrics  2 Metric*
//! Metric          1 name  5 Gauge  7 Sum        Gauge            1 NumberDataPoint*
//! Sum             1 NumberDataPoint*  2 aggregation temporality (1 delta, 2 cumulative)
//! NumberDataPoint 4 as_double  6 as_int  7 KeyValue*             KeyValue  1 key  2 AnyValue
//! AnyValue        1 string  2 bool  3 int  4 double
//! ```
//! (opentelemetry/proto/metrics/v1/metrics.proto; fields not named are passed over.)

/// Values of one push that are read; a client of Kafka has some hundreds.
pub const POINTS_MAX: usize = 10_000;
/// Bytes of a metric's name with its attributes.
pub const NAME_BYTES_MAX: usize = 256;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The metric's name, and its attributes in the form `name{key=value,key=value}`.
    pub name: String,
    /// What it is; never infinite, and always a number.
    pub value: f64,
    /// The value is what was added since the last push.
    pub is_delta: bool,
}

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the push is not OpenTelemetry's MetricsData at byte {at} from its end")]
pub struct NotMetrics {
    at: usize,
}

/// Reads the values of a push, [`POINTS_MAX`] at most.
///
/// # Errors
/// Where the bytes end early, or are no protobuf.
pub fn points(bytes: &[u8]) -> Result<Vec<Point>, NotMetrics> {
    let mut points = Vec::new();
    each(bytes, |field| {
        let (1, Value::Bytes(resource)) = field else { return Ok(()) };
        each(resource, |field| {
            let (2, Value::Bytes(scope)) = field else { return Ok(()) };
            each(scope, |field| match field {
                (2, Value::Bytes(bytes)) => metric(bytes, &mut points),
                _ => Ok(()),
            })
        })
    })?;
    Ok(points)
}

fn metric(bytes: &[u8], points: &mut Vec<Point>) -> Result<(), NotMetrics> {
    const DELTA: u64 = 1;
    let (mut name, mut data, mut is_delta) = ("", &[][..], false);
    each(bytes, |field| {
        match field {
            (1, Value::Bytes(text)) => name = std::str::from_utf8(text).map_err(|_| NotMetrics { at: text.len() })?,
            (5 | 7, Value::Bytes(numbers)) => data = numbers,
            _ => {}
        }
        Ok(())
    })?;
    each(data, |field| {
        if let (2, Value::Number(temporality)) = field {
            is_delta = temporality == DELTA;
        }
        Ok(())
    })?;
    each(data, |field| {
        let (1, Value::Bytes(point)) = field else { return Ok(()) };
        if points.len() < POINTS_MAX {
            points.extend(number(name, point, is_delta)?);
        }
        Ok(())
    })
}

fn number(name: &str, bytes: &[u8], is_delta: bool) -> Result<Option<Point>, NotMetrics> {
    let (mut value, mut attributes) = (None, Vec::new());
    each(bytes, |field| {
        match field {
            (4, Value::Fixed64(bits)) => value = Some(f64::from_bits(bits)),
            #[expect(clippy::cast_precision_loss, reason = "metrics are told as doubles")]
            (6, Value::Fixed64(bits)) => value = Some(bits.cast_signed() as f64),
            (7, Value::Bytes(pair)) => attributes.extend(attribute(pair)?),
            _ => {}
        }
        Ok(())
    })?;
    let Some(value) = value.filter(|value| value.is_finite()) else { return Ok(None) };
    attributes.sort_unstable();
    let mut name = match attributes.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", attributes.join(",")),
    };
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    Ok(Some(Point { name, value, is_delta }))
}

fn attribute(bytes: &[u8]) -> Result<Option<String>, NotMetrics> {
    let (mut key, mut value) = (String::new(), None);
    each(bytes, |field| {
        match field {
            (1, Value::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (2, Value::Bytes(any)) => each(any, |field| {
                value = Some(match field {
                    (1, Value::Bytes(text)) => String::from_utf8_lossy(text).into_owned(),
                    (2, Value::Number(number)) => (number != 0).to_string(),
                    (3, Value::Number(number)) => number.cast_signed().to_string(),
                    (4, Value::Fixed64(bits)) => f64::from_bits(bits).to_string(),
                    _ => return Ok(()),
                });
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(value.map(|value| format!("{key}={value}")))
}

/// A field's value on the wire.
enum Value<'a> {
    Number(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Hands every field of a message to `take`, by its number.
fn each<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut((u64, Value<'a>)) -> Result<(), NotMetrics>,
) -> Result<(), NotMetrics> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => Value::Fixed64(u64::from_le_bytes(fixed(&mut rest)?)),
            2 => {
                let len = usize::try_from(varint(&mut rest)?).unwrap_or(usize::MAX);
                Value::Bytes(split(&mut rest, len)?)
            }
            5 => {
                let _: [u8; 4] = fixed(&mut rest)?;
                Value::Fixed32
            }
            _ => return Err(NotMetrics { at: rest.len() }),
        };
        take((tag >> 3, value))?;
    }
    Ok(())
}

fn split<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], NotMetrics> {
    let (taken, left) = rest.split_at_checked(len).ok_or(NotMetrics { at: rest.len() })?;
    *rest = left;
    Ok(taken)
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NotMetrics> {
    let at = rest.len();
    split(rest, N)?.try_into().map_err(|_| NotMetrics { at })
}

fn varint(rest: &mut &[u8]) -> Result<u64, NotMetrics> {
    const BYTES_MAX: u32 = 10;
    let mut value = 0_u64;
    for place in 0..BYTES_MAX {
        let [byte] = fixed(rest)?;
        value |= u64::from(byte & 0x7f).checked_shl(7 * place).unwrap_or(0);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(NotMetrics { at: rest.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut len = content.len();
        while len > 127 {
            bytes.push((len & 127) as u8 | 128);
            len >>= 7;
        }
        bytes.push(len as u8);
        [&bytes, content].concat()
    }

    /// A push of one metric with one value.
    fn push(name: &str, value: f64, is_delta: bool, attribute: Option<(&str, &str)>) -> Vec<u8> {
        let pair = attribute
            .map(|(key, value)| field(7, &[field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat()));
        let number = [&[4 << 3 | 1][..], &value.to_le_bytes(), &pair.unwrap_or_default()].concat();
        let data = match is_delta {
            true => field(7, &[field(1, &number), vec![2 << 3, 1]].concat()),
            false => field(5, &field(1, &number)),
        };
        let metric = [field(1, name.as_bytes()), data].concat();
        field(1, &field(2, &field(2, &metric)))
    }

    #[test]
    fn gauges_and_sums_are_read_with_their_attributes() {
        let bytes = [push("a.b", 1.5, false, Some(("node.id", "1"))), push("c", 3.0, true, None)].concat();
        let expected = [
            Point { name: "a.b{node.id=1}".into(), value: 1.5, is_delta: false },
            Point { name: "c".into(), value: 3.0, is_delta: true },
        ];
        assert_eq!(points(&bytes).unwrap(), expected);
    }

    #[test]
    fn an_empty_push_has_no_values_and_a_broken_one_is_refused() {
        assert_eq!(points(&[]), Ok(vec![]));
        let whole = push("a", 1.0, false, None);
        for len in 1..whole.len() {
            assert!(points(&whole[..len]).is_err(), "cut at {len}");
        }
        assert!(points(&[0xff; 20]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = points(&bytes);
        }
    }
}
