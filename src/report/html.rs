//! The page as one file: its own code as it is, its data escaped, and a policy that allows nothing else.
//!
//! The policy names the style and every script by the hash of its text, so a page needs no server, no nonce and no trust in
//! its data. `default-src 'none'` forbids the network altogether.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::report::{Report, columns};

/// The page as the text of an HTML file.
pub fn page(report: &Report<'_>) -> String {
    let mut scripts = String::new();
    let mut hashes = String::new();
    for script in SCRIPTS {
        writeln!(scripts, "<script>{script}</script>").expect("invariant: writing to a string succeeds");
        write!(hashes, " '{}'", hash(script)).expect("invariant: writing to a string succeeds");
    }
    let policy = format!(
        "default-src 'none'; script-src{hashes}; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    );
    let parts = [
        ("policy", policy),
        ("style", STYLE.to_owned()),
        ("title", escaped_text(&report.title)),
        ("sentence", escaped_text(&report.finding.sentence)),
        ("data", escaped_json(&columns::json(report))),
        ("scripts", scripts),
    ];
    filled(PAGE, &parts)
}

/// Puts parts in their places. What a part says is not looked at again, so no text can stand for another part.
pub fn filled(template: &str, parts: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("invariant: places are closed");
        let (_, part) = parts.iter().find(|(known, _)| *known == name).expect("invariant: every place has a part");
        out.push_str(before);
        out.push_str(part);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Text as HTML.
pub fn escaped_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML has no way to write these.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// JSON within a script element, which only `</script` and `<!--` can leave. These five occur in JSON only within strings,
/// where they may be written by number.
fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("invariant: writing to a string succeeds");
            }
            c => out.push(c),
        }
    }
    out
}

/// The hash of an inline element's text, as a policy names it.
pub fn hash(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0;
        for index in 0..3 {
            bits = bits << 8 | u32::from(group.get(index).copied().unwrap_or_default());
        }
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index) & 63) as usize];
            out.push(if index <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");

/// In the order in which they use each other.
const SCRIPTS: [&str; 10] = [
    include_str!("page/run.js"),
    include_str!("page/view.js"),
    include_str!("page/lanes.js"),
    include_str!("page/density.js"),
    include_str!("page/draw.js"),
    include_str!("page/overview.js"),
    include_str!("page/finding.js"),
    include_str!("page/inspector.js"),
    include_str!("page/list.js"),
    include_str!("page/main.js"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::objects::Clock;
    use crate::report::{Finding, Operation};
    use crate::time::Instant;
    use crate::trace::{Event, EventId, EventKind, Place};

    /// Texts that try to end the element they stand in, or to be taken for something else.
    const HOSTILE: [&str; 8] = [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "]]>--></SCRIPT >",
        "\"}];alert(1)//",
        "{{scripts}}{{data}}",
        "\u{2028}\u{2029}\0\u{7f}\r\n",
        "<img src=x onerror=alert(1)>",
        "\\u003c/script\\u003e&lt;&#60;",
    ];

    fn hostile_page(text: &str) -> String {
        let event = |id, kind| Event { id: EventId(id), cause: None, at: Instant(id), place: Place::Node(0), kind };
        let events = [
            event(0, EventKind::Sent { to: Place::World, what: text.into() }),
            event(1, EventKind::Disk { what: text.into() }),
        ];
        let finding = Finding {
            verdict: text.into(),
            sentence: text.into(),
            rule: Some((text.into(), text.into())),
            notes: vec![(text.into(), None)],
            replay: Some(text.into()),
            ..Finding::default()
        };
        let operation = Operation {
            client: text.into(),
            what: text.into(),
            invoked: Instant(0),
            returned: None,
            ending: crate::report::Ending::Open,
        };
        let facts = vec![(text.to_owned(), text.to_owned())];
        page(&Report {
            title: text.into(),
            finding,
            facts,
            clock: Clock::Nanoseconds,
            events: &events,
            operations: vec![operation],
        })
    }

    #[test]
    fn no_text_leaves_its_element() {
        let harmless = hostile_page("harmless");
        let count = |page: &str, what: &str| page.to_lowercase().matches(what).count();
        for text in HOSTILE {
            let page = hostile_page(text);
            for tag in ["<script", "</script", "<!--", "-->", "<img", "<style", "</style"] {
                assert_eq!(count(&page, tag), count(&harmless, tag), "{tag} for {text:?}");
            }
        }
    }

    #[test]
    fn every_text_comes_back_from_the_data() {
        for text in HOSTILE {
            let page = hostile_page(text);
            let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").expect("data");
            let (data, _) = rest.split_once("</script>").expect("an end");
            let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(data["finding"]["sentence"], text);
            assert_eq!(data["texts"][0], text);
            assert_eq!(data["operations"][0][1], 0, "an equal text is kept once");
        }
    }

    #[test]
    fn the_policy_names_each_element_by_the_hash_of_its_text() {
        let page = hostile_page("harmless");
        let (_, policy) = page.split_once("Content-Security-Policy\" content=\"").expect("a policy");
        let (policy, _) = policy.split_once('"').expect("an end");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let texts = |open: &str, close: &str| -> Vec<String> {
            page.split(open).skip(1).map(|rest| rest.split(close).next().unwrap_or_default().to_owned()).collect()
        };
        let elements = [texts("<script>", "</script>"), texts("<style>", "</style>")].concat();
        assert_eq!(elements.len(), SCRIPTS.len() + 1);
        for text in elements {
            assert!(policy.contains(&format!("'{}'", hash(&text))), "{}", &text[..60]);
        }
        assert!(!page.contains(" style=\"") && !page.contains(" onclick"), "attributes have no hash");
    }

    #[test]
    fn hashes_are_what_browsers_compute() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
        // The example of the CSP specification, level 3.
        assert_eq!(hash("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }
}
