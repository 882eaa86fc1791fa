//! Where in a topic to begin, as people write it: `earliest`, `latest`, an offset, or a time.

use millstream_task::{Error, ResetTo, Topics};
use millstream_types::{ErrorKind, Offset, TimestampMs, TopicPartition};

/// A place in every partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The first record there is.
    Earliest,
    /// After the last record there is.
    Latest,
    /// This offset.
    Offset(Offset),
    /// The first record at or after this time.
    Time(TimestampMs),
}

impl From {
    /// Reads what a person wrote.
    ///
    /// # Errors
    /// `Invalid`, with the forms there are.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(offset) = text.parse::<i64>() {
            return Ok(Self::Offset(Offset(offset)));
        }
        let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| {
            let message = format!("{text:?} is no place in a topic: expected earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z");
            Error::new(ErrorKind::Invalid, message)
        })?;
        Ok(Self::Time(TimestampMs(time.timestamp_millis())))
    }

    /// The offset in each of these partitions of `topic`, within what can be read there: partitions are not equally long.
    ///
    /// # Errors
    /// `Invalid` for an offset that none of them has; the log's.
    pub async fn offsets(
        self,
        topics: &dyn Topics,
        topic: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Offset>, Error> {
        let mut bounds = Vec::with_capacity(partitions.len());
        for partition in partitions {
            bounds.push(topics.bounds(*partition).await?);
        }
        let start = bounds.iter().map(|bounds| bounds.log_start).min().unwrap_or(Offset::ZERO);
        let end = bounds.iter().map(|bounds| bounds.high_watermark).max().unwrap_or(Offset::ZERO);
        if let Self::Offset(offset) = self
            && !(start..=end).contains(&offset)
        {
            let message = format!(
                "offset {offset} is not in topic {topic:?}, which has {start} to {end}: name one of these, earliest or latest"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut offsets = Vec::with_capacity(partitions.len());
        for (partition, bounds) in partitions.iter().zip(bounds) {
            offsets.push(match self {
                Self::Earliest => bounds.log_start,
                Self::Latest => bounds.high_watermark,
                Self::Offset(offset) => offset.clamp(bounds.log_start, bounds.high_watermark),
                Self::Time(time) => topics.offset_for_time(*partition, time).await?.unwrap_or(bounds.high_watermark),
            });
        }
        Ok(offsets)
    }

    /// The same place in the words of tasks.
    #[must_use]
    pub const fn reset(self) -> ResetTo {
        match self {
            Self::Earliest => ResetTo::Earliest,
            Self::Latest => ResetTo::Latest,
            Self::Offset(offset) => ResetTo::Offset(offset),
            Self::Time(time) => ResetTo::Time(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!(From::parse("earliest"), Ok(From::Earliest));
        assert_eq!(From::parse("17"), Ok(From::Offset(Offset(17))));
        assert_eq!(From::parse("1970-01-01T00:00:01Z"), Ok(From::Time(TimestampMs(1000))));
        let error = From::parse("yesterday").unwrap_err();
        assert!(error.message.starts_with("\"yesterday\" is no place in a topic"), "{error}");
    }
}
