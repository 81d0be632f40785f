/// A civil date without time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct Date {
    pub year: i32,
    pub month: u32,
    pub day: u32,
}

/// Days since 1970-01-01, valid for the whole Gregorian calendar.
pub fn days_from_civil(d: Date) -> i64 {
    let y = if d.month <= 2 { d.year - 1 } else { d.year } as i64;
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let shifted = (d.month as i64 + 9) % 12;
    let doy = (153 * shifted + 2) / 5 + d.day as i64 - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// 1 is Monday, 7 is Sunday.
pub fn weekday(d: Date) -> u32 {
    ((days_from_civil(d) + 3).rem_euclid(7) + 1) as u32
}

/// The ISO week belongs to the year that contains its Thursday.
pub fn iso_week(d: Date) -> (i32, u32) {
    let thursday = days_from_civil(d) + 4 - weekday(d) as i64;
    let mut year = d.year;
    if thursday < january_first(year) {
        year -= 1;
    } else if thursday >= january_first(year + 1) {
        year += 1;
    }
    let week = (thursday - january_first(year)) / 7 + 1;
    (year, week as u32)
}

fn january_first(year: i32) -> i64 {
    days_from_civil(Date { year, month: 1, day: 1 })
}
