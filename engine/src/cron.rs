//! Which times a cron expression names in a time zone; the only file that speaks to `croner` and `jiff`.
//!
//! Where clocks are set forward, a fixed time that does not exist that day comes right after the gap. Where they are set
//! back, a fixed time comes once, and one that recurs (`*/15`) goes on recurring.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};
use rules::{record::At, refusal::Refusal, schedule::CRON_BYTES_MAX};

/// An expression that is understood, where it holds.
pub struct Times {
    cron: Cron,
    timezone: TimeZone,
}

impl Times {
    pub fn parse(cron: &str, timezone: &str) -> Result<Times, Refusal> {
        if cron.len() > CRON_BYTES_MAX {
            return Err(
                Refusal::CRON_MALFORMED.because(format!("A cron expression has at most {CRON_BYTES_MAX} bytes."))
            );
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(cron).map_err(|error| Refusal::CRON_MALFORMED.because(format!("{error}")))?;
        let timezone = TimeZone::get(timezone)
            .map_err(|_| Refusal::TIMEZONE_UNKNOWN.because(format!("There is no time zone {timezone:?}.")))?;
        Ok(Times { cron, timezone })
    }

    /// The first that lies behind this moment, if any does.
    pub fn after(&self, at: At) -> Option<At> {
        let from = Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?.to_zoned(self.timezone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?.timestamp().as_millisecond();
        u64::try_from(next).ok().map(At).filter(|next| *next > at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> At {
        At(text.parse::<Timestamp>().expect("a moment").as_millisecond() as u64)
    }

    /// The first times behind a moment, as the clocks there show them, and in which hour of the world.
    fn times(cron: &str, timezone: &str, from: &str, many: usize) -> Vec<String> {
        let times = Times::parse(cron, timezone).expect("it is understood");
        let there =
            |at: At| Timestamp::from_millisecond(at.0 as i64).expect("a moment").to_zoned(times.timezone.clone());
        let mut last = at(from);
        let mut next = || {
            last = times.after(last).expect("there is one");
            there(last).strftime("%m-%d %H:%M %:z").to_string()
        };
        (0..many).map(|_| next()).collect()
    }

    #[test]
    fn a_time_that_clocks_skip_comes_right_after_the_gap() {
        let found = times("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3);
        assert_eq!(found, ["03-28 02:30 +01:00", "03-29 03:00 +02:00", "03-30 02:30 +02:00"]);
    }

    #[test]
    fn a_time_that_clocks_show_twice_comes_once_and_one_that_recurs_goes_on() {
        let found = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(found, ["10-25 02:30 +02:00", "10-26 02:30 +01:00"]);
        let found = times("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:59:00Z", 5);
        let each = ["02:00 +02:00", "02:30 +02:00", "02:00 +01:00", "02:30 +01:00", "03:00 +01:00"];
        assert_eq!(found, each.map(|time| format!("10-25 {time}")));
    }

    #[test]
    fn weekdays_months_and_last_days_are_understood() {
        assert_eq!(times("0 9 * * MON-FRI", "UTC", "2026-11-20T12:00:00Z", 1), ["11-23 09:00 +00:00"]);
        assert_eq!(times("0 9 L * *", "Asia/Kolkata", "2026-02-01T00:00:00Z", 1), ["02-28 09:00 +05:30"]);
        assert_eq!(times("@daily", "America/New_York", "2026-11-20T12:00:00Z", 1), ["11-21 00:00 -05:00"]);
    }

    #[test]
    fn what_is_no_expression_or_no_time_zone_is_refused_and_what_never_comes_is_found_out_soon() {
        let code = |cron: &str, timezone: &str| Times::parse(cron, timezone).err().map(|refusal| refusal.code);
        let long = "1,".repeat(60) + "1 * * * *";
        for cron in ["", "every day", "* * * *", "0 * * * * *", "60 * * * *", "0 0 0 0 0", "* * * * * * 2030", &long] {
            assert_eq!(code(cron, "UTC"), Some("cron_malformed"), "{cron}");
        }
        for timezone in ["", "Mars/Olympus", "../../etc/passwd", "+25:00"] {
            assert_eq!(code("* * * * *", timezone), Some("timezone_unknown"), "{timezone}");
        }
        let began = std::time::Instant::now();
        let never = Times::parse("0 0 31 2 *", "Europe/Berlin").expect("it is understood");
        assert_eq!(never.after(at("2026-11-20T12:00:00Z")), None);
        assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
    }
}
