//! New York's local time, without a time zone database: the rule of the United States since 2007.

/// A day and minutes after its midnight as ISO 8601 with New York's offset.
pub fn local([year, month, day]: [i64; 3], minutes: i64) -> String {
    shifted([year, month, day], minutes, 0)
}

/// The same, `later` minutes after.
pub fn shifted([year, month, day]: [i64; 3], minutes: i64, later: i64) -> String {
    let total = minutes + later;
    let days = days_from_civil(year, month, day) + total.div_euclid(24 * 60);
    let minutes = total.rem_euclid(24 * 60);
    let [year, month, day] = civil_from_days(days);
    let offset = if summer(year, month, day, minutes) { "-04:00" } else { "-05:00" };
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:00{offset}", minutes / 60, minutes % 60)
}

/// Daylight saving time: from 02:00 on March's second Sunday to 02:00 on November's first.
fn summer(year: i64, month: i64, day: i64, minutes: i64) -> bool {
    let nth_sunday = |month: i64, nth: i64| {
        // Day 0 of the count was a Thursday.
        let weekday_of_first = (days_from_civil(year, month, 1) + 4).rem_euclid(7);
        1 + (7 - weekday_of_first) % 7 + (nth - 1) * 7
    };
    let (start, end) = ((3, nth_sunday(3, 2), 120), (11, nth_sunday(11, 1), 120));
    (month, day, minutes) >= start && (month, day, minutes) < end
}

/// Days since 1970-01-01 (Howard Hinnant's "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> [i64; 3] {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    [year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted_month + 2) / 5 + 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_both_ways() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        for days in [-1, 0, 59, 60, 15_706, 15_765, 19_782, 100_000] {
            let [year, month, day] = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn the_offset_changes_when_new_york_s_does() {
        assert_eq!(local([2013, 3, 10], 119), "2013-03-10T01:59:00-05:00");
        assert_eq!(local([2013, 3, 10], 180), "2013-03-10T03:00:00-04:00");
        assert_eq!(local([2013, 11, 3], 119), "2013-11-03T01:59:00-04:00");
        assert_eq!(local([2013, 11, 3], 120), "2013-11-03T02:00:00-05:00");
        assert_eq!(shifted([2013, 12, 31], 23 * 60 + 59, 11), "2014-01-01T00:10:00-05:00");
    }
}
