//! Thresholds on a result, and one result against an earlier one.

use serde_json::Value;

/// A bound on one figure of every row: `p99<30ms`, `records_per_second>100000`.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// As it was written.
    pub text: String,
    figure: &'static Figure,
    is_most: bool,
    bound: f64,
}

/// A figure that a threshold can be set on.
#[derive(Debug, PartialEq)]
struct Figure {
    names: &'static [&'static str],
    /// Its key in a row.
    key: &'static str,
    /// What one unit of the key is called, and how many of it are in each unit that may be written.
    units: &'static [(&'static str, f64)],
    /// Whether a larger one is better.
    is_rate: bool,
}

impl Threshold {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Threshold, String> {
        let at = text.find(['<', '>']).ok_or("expected FIGURE<BOUND or FIGURE>BOUND, such as p99<30ms")?;
        let (name, rest) = (text[..at].trim(), text[at + 1..].trim());
        let figure = FIGURES.iter().find(|figure| figure.names.contains(&name)).ok_or_else(|| {
            let names: Vec<&str> = FIGURES.iter().map(|figure| figure.names[0]).collect();
            format!("no figure is called {name}; expected one of {}", names.join(", "))
        })?;
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, unit) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| format!("expected a number, found {rest}"))?;
        let (_, factor) = figure.units.iter().find(|(known, _)| *known == unit.trim()).ok_or_else(|| {
            let units: Vec<&str> = figure.units.iter().map(|(unit, _)| *unit).collect();
            format!("{name} is not given in {unit:?}; expected one of {units:?}")
        })?;
        Ok(Threshold { text: text.to_owned(), figure, is_most: text[at..].starts_with('<'), bound: number * factor })
    }

    /// The rows of a result that miss it, in words.
    pub fn missed(&self, result: &Value) -> Vec<String> {
        let rows = result["rows"].as_array().map_or(&[][..], Vec::as_slice);
        let misses = |row: &&Value| {
            let value = row[self.figure.key].as_f64().unwrap_or(f64::NAN);
            let holds = if self.is_most { value < self.bound } else { value > self.bound };
            !holds
        };
        rows.iter()
            .filter(misses)
            .map(|row| format!("{}: {} is {}", name(row), self.figure.key, row[self.figure.key]))
            .collect()
    }
}

/// What is worse in `new` than in `old` by more than a share, in words. Loads that only one of them has are left out; none
/// in common is a mistake.
pub fn worse(new: &Value, old: &Value, tolerance: f64) -> Result<Vec<String>, String> {
    let rows =
        |result: &Value| result["rows"].as_array().cloned().ok_or("the file holds no rows of a bench".to_owned());
    let (new, old) = (rows(new)?, rows(old)?);
    let pairs: Vec<(&Value, &Value)> =
        new.iter().filter_map(|row| Some((row, old.iter().find(|other| name(other) == name(row))?))).collect();
    if pairs.is_empty() {
        return Err("the two results have no load in common".into());
    }
    let mut all = Vec::new();
    for (new, old) in pairs {
        for key in ["records_per_second", "p50_us", "p99_us"] {
            let (Some(is), Some(was)) = (new[key].as_f64(), old[key].as_f64()) else { continue };
            let is_rate = FIGURES.iter().any(|figure| figure.key == key && figure.is_rate);
            let loss = if is_rate { 1.0 - is / was } else { is / was - 1.0 };
            if loss > tolerance {
                all.push(format!("{}: {key} was {was:.0}, is {is:.0}, worse by {:.0} %", name(new), loss * 100.0));
            }
        }
    }
    Ok(all)
}

/// What a row measured.
pub fn name(row: &Value) -> String {
    let clients = row["clients"].as_u64().unwrap_or(1);
    format!("{} nodes, {} B, {} in flight, {clients} clients", row["nodes"], row["record_bytes"], row["in_flight"])
}

const TIMES: &[(&str, f64)] = &[("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
const COUNTS: &[(&str, f64)] = &[("", 1.0), ("/s", 1.0), ("k", 1e3), ("k/s", 1e3), ("M", 1e6), ("M/s", 1e6)];
const BYTES: &[(&str, f64)] = &[("", 1.0), ("MB/s", 1.0), ("KB/s", 1.0 / 1024.0), ("GB/s", 1024.0)];

const FIGURES: &[Figure] = &[
    Figure { names: &["p50", "p50_us"], key: "p50_us", units: TIMES, is_rate: false },
    Figure { names: &["p95", "p95_us"], key: "p95_us", units: TIMES, is_rate: false },
    Figure { names: &["p99", "p99_us"], key: "p99_us", units: TIMES, is_rate: false },
    Figure { names: &["p99.9", "p999_us"], key: "p999_us", units: TIMES, is_rate: false },
    Figure { names: &["max", "max_us"], key: "max_us", units: TIMES, is_rate: false },
    Figure { names: &["records_per_second"], key: "records_per_second", units: COUNTS, is_rate: true },
    Figure { names: &["throughput", "mb_per_second"], key: "mb_per_second", units: BYTES, is_rate: true },
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(rate: f64, p99_us: u64) -> Value {
        json!({ "rows": [{
            "nodes": 3, "record_bytes": 100, "in_flight": 64, "clients": 1,
            "records_per_second": rate, "mb_per_second": rate / 10_000.0, "p50_us": 500, "p99_us": p99_us,
        }] })
    }

    #[test]
    fn thresholds_hold_or_name_the_row() {
        let missed = |text: &str| Threshold::parse(text).expect("a threshold").missed(&result(50_000.0, 20_000)).len();
        assert_eq!((missed("p99<30ms"), missed("p99<20ms"), missed("p99 < 0.03s")), (0, 1, 0));
        assert_eq!((missed("records_per_second>40k"), missed("throughput>5MB/s")), (0, 1));
        assert_eq!(missed("max<1s"), 1, "a figure that is not there is missed");
        for (text, reason) in
            [("p99", "expected FIGURE"), ("p98<1ms", "no figure"), ("p99<x", "a number"), ("p99<1MB/s", "not given in")]
        {
            assert!(Threshold::parse(text).is_err_and(|error| error.contains(reason)), "{text}");
        }
    }

    #[test]
    fn a_worse_result_is_named() {
        let old = result(50_000.0, 20_000);
        assert_eq!(worse(&result(46_000.0, 21_000), &old, 0.1), Ok(vec![]));
        let all = worse(&result(40_000.0, 30_000), &old, 0.1).expect("comparable");
        assert_eq!(all.len(), 2);
        assert!(all[0].ends_with("records_per_second was 50000, is 40000, worse by 20 %"), "{all:?}");
        assert!(worse(&json!({}), &old, 0.1).is_err() && worse(&json!({ "rows": [] }), &old, 0.1).is_err());
    }
}
