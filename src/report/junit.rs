//! JUnit's XML, which every build server reads: a suite is a scenario, a case is a seed.
//!
//! What a run says may hold anything; XML may not. Characters that XML 1.0 cannot spell are shown as U+FFFD.

use std::fmt::Write;
use std::time::Duration;

use crate::outcome::{Exit, Outcome, Verdict};
use crate::report::index::{Index, Nondeterminism, Swept};

/// The cases of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// The scenario.
    pub name: String,
    /// What holds for all of its cases, as pairs of name and value.
    pub properties: Vec<(&'static str, String)>,
    /// Its seeds.
    pub cases: Vec<Case>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// Real time.
    pub wall_ms: u64,
    /// What else there is to know, as pairs of name and value.
    pub properties: Vec<(&'static str, String)>,
    /// What was wrong, if anything.
    pub problem: Option<Problem>,
}

/// Why a case did not pass.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Whether nobody could decide: an error of the test, in JUnit's words, and no failure of what it tests.
    pub is_error: bool,
    /// The property that did not hold, or `undecided`, or `nondeterminism`.
    pub kind: String,
    /// In a sentence.
    pub message: String,
    /// The line that makes it happen again, and what led there.
    pub text: String,
}

impl Case {
    /// A run that was made alone; `causes` is what led to its violation.
    pub fn of(outcome: &Outcome, wall: Duration, replay: &str, causes: &str) -> Case {
        let problem = match &outcome.verdict {
            Verdict::Passed => None,
            Verdict::Undecided(why) => Some(Problem::new(None, why, replay, "")),
            Verdict::Violated(violation) => {
                Some(Problem::new(Some(violation.property), &violation.message, replay, causes))
            }
        };
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let properties = facts(outcome.digest, outcome.events, outcome.exit());
        Case { seed: outcome.seed, wall_ms, properties, problem }
    }
}

impl Problem {
    /// A problem with what it takes to look into it.
    pub fn new(property: Option<&str>, message: &str, replay: &str, causes: &str) -> Problem {
        let kind = property.unwrap_or("undecided");
        let mut text = format!("{kind}: {message}\nreplay: {replay}\n");
        if !causes.is_empty() {
            write!(text, "\n{causes}").expect("invariant: writing to a string succeeds");
        }
        Problem { is_error: property.is_none(), kind: kind.to_owned(), message: message.to_owned(), text }
    }
}

/// The runs of an index as suites, without those of scenarios that had no run.
pub fn suites(index: &Index) -> Vec<Suite> {
    let suite = |swept: &Swept| Suite {
        name: swept.name.clone(),
        properties: properties(&swept.path, swept.hash, &index.maker.version),
        cases: Vec::new(),
    };
    let mut suites: Vec<Suite> = index.scenarios.iter().map(suite).collect();
    let ways = index.ways();
    for run in &index.runs {
        let problem = run.trouble.as_deref().map(|trouble| {
            let way = ways.iter().find(|way| std::ptr::eq(way.smallest, run));
            let known = way.and_then(|way| index.failures.get(way.trouble.signature.as_deref()?));
            let causes = known.map_or("", |failure| &failure.causes);
            Problem::new(trouble.property.as_deref(), &trouble.message, &trouble.replay, causes)
        });
        let problem = problem.or_else(|| nondeterminism(index, &suites[run.scenario].name, run.seed));
        let properties = facts(run.digest, run.events, run.exit);
        suites[run.scenario].cases.push(Case { seed: run.seed, wall_ms: run.wall_ms, properties, problem });
    }
    suites.retain(|suite| !suite.cases.is_empty());
    suites
}

/// What holds for all seeds of a scenario: where it is, what it says, and who ran it.
pub fn properties(path: &str, hash: u64, version: &str) -> Vec<(&'static str, String)> {
    let hash = format!("0x{hash:016x}");
    vec![("scenario", path.to_owned()), ("scenario_hash", hash), ("kraftbed", version.to_owned())]
}

fn facts(digest: u64, events: u64, exit: Exit) -> Vec<(&'static str, String)> {
    let digest = format!("0x{digest:016x}");
    vec![("digest", digest), ("events", events.to_string()), ("verdict", exit.word().to_owned())]
}

/// That a seed came out differently the second time.
fn nondeterminism(index: &Index, scenario: &str, seed: u64) -> Option<Problem> {
    let differs = |found: &&Nondeterminism| found.scenario == scenario && found.seed == seed;
    let (first, second) = index.nondeterminism.iter().find(differs)?.digests;
    let message = format!("digests 0x{first:016x} and 0x{second:016x}");
    Some(Problem { is_error: true, kind: "nondeterminism".to_owned(), text: message.clone(), message })
}

/// The document.
pub fn document(suites: &[Suite]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let cases = || suites.iter().flat_map(|suite| &suite.cases);
    writeln!(out, "<testsuites name=\"kraftbed\" {}>", counts(cases())).expect(WRITES);
    for suite in suites {
        let (name, counts) = (escaped(&suite.name), counts(suite.cases.iter()));
        writeln!(out, "  <testsuite name=\"{name}\" {counts}>").expect(WRITES);
        write_properties(&mut out, "    ", &suite.properties);
        for case in &suite.cases {
            write_case(&mut out, &name, case);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn write_case(out: &mut String, suite: &str, case: &Case) {
    let (seed, time) = (case.seed, seconds(case.wall_ms));
    writeln!(out, "    <testcase name=\"seed {seed}\" classname=\"{suite}\" time=\"{time}\">").expect(WRITES);
    write_properties(out, "      ", &case.properties);
    if let Some(problem) = &case.problem {
        let element = if problem.is_error { "error" } else { "failure" };
        let (kind, message) = (escaped(&problem.kind), escaped(&problem.message));
        let text = problem.text.split('\n').map(escaped).collect::<Vec<_>>().join("\n");
        writeln!(out, "      <{element} type=\"{kind}\" message=\"{message}\">{text}</{element}>").expect(WRITES);
    }
    out.push_str("    </testcase>\n");
}

fn write_properties(out: &mut String, indent: &str, properties: &[(&'static str, String)]) {
    if properties.is_empty() {
        return;
    }
    writeln!(out, "{indent}<properties>").expect(WRITES);
    for (name, value) in properties {
        writeln!(out, "{indent}  <property name=\"{name}\" value=\"{}\"/>", escaped(value)).expect(WRITES);
    }
    writeln!(out, "{indent}</properties>").expect(WRITES);
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut wall_ms) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        wall_ms = case.wall_ms.saturating_add(wall_ms);
        match &case.problem {
            Some(problem) if problem.is_error => errors += 1,
            Some(_) => failures += 1,
            None => {}
        }
    }
    let time = seconds(wall_ms);
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time}\"")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Text as XML 1.0, fit for an attribute as well as for an element.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // As they are, an attribute would make blanks of them.
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const WRITES: &str = "invariant: writing to a string succeeds";

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(message: &str) -> Suite {
        let causes = "time  n2\n1s    → n3  Fetch@4\n";
        let failed = Problem::new(Some("leaders_are_elected"), message, "kraftbed run light --seed 2", causes);
        let case =
            |seed, wall_ms, problem| Case { seed, wall_ms, properties: vec![("digest", "0x01".into())], problem };
        let cases = vec![
            case(1, 1007, None),
            case(2, 12, Some(failed)),
            case(3, 0, Some(Problem::new(None, "over", "kraftbed run light --seed 3", ""))),
        ];
        Suite { name: "light".into(), properties: vec![("scenario", "a \"b\".json".into())], cases }
    }

    #[test]
    fn a_suite_is_a_scenario_and_a_case_a_seed() {
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"kraftbed\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"1.019\">
  <testsuite name=\"light\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"1.019\">
    <properties>
      <property name=\"scenario\" value=\"a &quot;b&quot;.json\"/>
    </properties>
    <testcase name=\"seed 1\" classname=\"light\" time=\"1.007\">
      <properties>
        <property name=\"digest\" value=\"0x01\"/>
      </properties>
    </testcase>
    <testcase name=\"seed 2\" classname=\"light\" time=\"0.012\">
      <properties>
        <property name=\"digest\" value=\"0x01\"/>
      </properties>
      <failure type=\"leaders_are_elected\" message=\"two leaders\">leaders_are_elected: two leaders
replay: kraftbed run light --seed 2

time  n2
1s    → n3  Fetch@4
</failure>
    </testcase>
    <testcase name=\"seed 3\" classname=\"light\" time=\"0.000\">
      <properties>
        <property name=\"digest\" value=\"0x01\"/>
      </properties>
      <error type=\"undecided\" message=\"over\">undecided: over
replay: kraftbed run light --seed 3
</error>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(document(&[suite("two leaders")]), expected);
    }

    #[test]
    fn no_message_breaks_the_document() {
        let harmless = document(&[suite("harmless")]);
        for hostile in
            ["</failure><testcase name=\"x\"/>", "]]>", "\" type=\"x", "&lt;&#0;", "\0\u{1b}[1m\u{ffff}\r\u{85}"]
        {
            let text = document(&[suite(hostile)]);
            for mark in ["<", ">", "\""] {
                assert_eq!(text.matches(mark).count(), harmless.matches(mark).count(), "{mark} for {hostile:?}");
            }
            let is_legal = |c: char| c == '\n' || !c.is_control() && c != '\u{ffff}';
            assert!(text.chars().all(is_legal), "{text:?}");
        }
    }
}
