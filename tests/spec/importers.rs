//! Histories in every format: what is read from them, what they come to, where their mistakes are, and that nothing in a file
//! makes an importer panic.
#![expect(clippy::disallowed_methods, reason = "histories are files")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use kraftbed::campaign::check::{Checked, Options, Unreadable, Verdict, check, check_file};
use kraftbed::campaign::reading::{Loaded, Watch, load};
use kraftbed::history::Model;
use kraftbed::history::format::{FailedCas, Format, Hints, NilRead, import};
use kraftbed::prng::Prng;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of histories") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn fixtures() -> Vec<PathBuf> {
    let mut files = files(&folder());
    files.retain(|path| !path.ends_with(VERDICTS) && !path.ends_with(PAGE));
    files
}

fn options(hints: Hints) -> Options {
    Options { hints, time_max: None, bytes_max: 1 << 30, steps_max: 1_000_000, jobs: 2 }
}

fn checked(path: &Path, hints: Hints) -> Result<Checked, Unreadable> {
    check_file(path, &options(hints), None, &|_, _| ()).map(|(_, checked)| checked)
}

fn bytes_of(path: &Path) -> Vec<u8> {
    match load(path, 1 << 30, &Watch::new(None, None)).expect("a file that can be read") {
        Loaded::Whole(bytes) => bytes,
        Loaded::Part { why, .. } => panic!("{}: {why:?}", path.display()),
    }
}

fn fixture(name: &str, hints: Hints) -> Verdict {
    checked(&folder().join(name), hints).unwrap_or_else(|error| panic!("{name}:{error}")).verdict
}

fn is_legal(name: &str, hints: Hints) -> bool {
    match fixture(name, hints) {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable { .. } => false,
        Verdict::Undecided { why } => panic!("{name}: {why}"),
    }
}

/// What each fixture comes to, core included, is written down beside them.
#[test]
fn every_fixture_has_its_verdict() {
    let mut text = String::new();
    for path in fixtures() {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let hints = Hints { model: name.starts_with("producer").then_some(Model::Producer), ..Hints::default() };
        let checked = checked(&path, hints).unwrap_or_else(|error| panic!("{name}:{error}"));
        let model = checked.model();
        let dialect = checked.dialect.as_ref().map_or(String::new(), |dialect| format!(" {dialect}"));
        text += &format!("{name}: {} {}, {} operations{dialect}\n", checked.format(), model, checked.operations);
        match checked.verdict {
            Verdict::Linearizable => text += "  linearizable\n",
            Verdict::Undecided { why } => text += &format!("  undecided: {why}\n"),
            Verdict::NotLinearizable { message, core, orders } => {
                text += &format!("  not linearizable: {message}\n");
                for told in core {
                    let returned = told.returned.map_or("never".to_owned(), |at| at.to_string());
                    let (client, f, value, invoked) = (told.client, told.f, told.value, told.invoked);
                    text += &format!("    client {client} {f} {value} {invoked}..{returned}\n");
                }
                text.extend(orders.iter().map(|order| format!("    no order: {order}\n")));
            }
        }
    }
    let golden = folder().join(VERDICTS);
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        fs::write(&golden, &text).expect("the verdicts are written");
    }
    assert_eq!(text, fs::read_to_string(&golden).unwrap_or_default(), "UPDATE_GOLDENFILES=1 writes {VERDICTS} anew");
}

/// The page that tells users how to write a history shows histories of every format and of every model, and says what they
/// come to.
#[test]
fn every_example_of_the_page_is_what_it_says() {
    let page = fs::read_to_string(folder().join(PAGE)).expect("a page beside the histories");
    let mut blocks = page.split("\n```");
    let (mut formats, mut models) = (Vec::new(), Vec::new());
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let (said, text) = block.split_once('\n').expect("an example has lines");
        let checked = check(text.as_bytes(), &options(Hints::default()), &|_, _| ()).unwrap_or_else(|error| {
            panic!("{PAGE}, {said}: {error}");
        });
        let verdict = match checked.verdict {
            Verdict::Linearizable => "linearizable",
            Verdict::NotLinearizable { .. } => "not-linearizable",
            Verdict::Undecided { .. } => "undecided",
        };
        assert_eq!(said, format!("{} {} {verdict}", checked.format(), checked.model()), "{PAGE}:\n{text}");
        assert!(checked.answers > 0, "{PAGE}: nothing can be said of\n{text}");
        formats.extend(checked.format);
        models.extend(checked.models);
    }
    for format in Format::ALL {
        assert!(formats.contains(&format), "{PAGE} has no example of {}", format.name());
    }
    for model in Model::ALL {
        assert!(models.contains(&model), "{PAGE} has no example of a {model}");
    }
}

#[test]
fn a_dialect_changes_what_a_file_says() {
    let usual = Hints::default;
    let refused = || Hints { failed_cas: Some(FailedCas::Refused), ..usual() };
    let did_not_happen = || Hints { failed_cas: Some(FailedCas::DidNotHappen), ..usual() };
    assert!(is_legal("failed_cas.edn", usual()) && !is_legal("failed_cas.edn", refused()));
    assert!(!is_legal("etcd_refused.log", usual()) && is_legal("etcd_refused.log", did_not_happen()));
    let observes = || Hints { nil_read: Some(NilRead::Observes), ..usual() };
    assert!(is_legal("nil_read.edn", usual()) && !is_legal("nil_read.edn", observes()));
    let zero = || Hints { initial: Some("0".to_owned()), ..usual() };
    assert!(!is_legal("initial.edn", usual()) && is_legal("initial.edn", zero()));
    let producer = || Hints { model: Some(Model::Producer), ..usual() };
    assert!(is_legal("producer.jsonl", usual()) && !is_legal("producer.jsonl", producer()));
}

#[test]
fn a_mistake_is_named_with_its_line_and_column() {
    let wrong = |text: &str| import(text.as_bytes(), &Hints::default()).expect_err(text).to_string();
    assert!(wrong("").starts_with("1:1: the file is empty"));
    assert!(wrong("\n  hello\n").starts_with("2:3: no known format"));
    let map = "{:process 0, :type :invoke, :f :read, :value nil}";
    assert_eq!(wrong(&format!("[{map}\n{map}]")), "2:1: process 0 asks before it was answered what it asked in line 1");
    assert_eq!(
        wrong("[{:process 0, :type :ok, :f :read, :value 1}]"),
        "1:2: process 0 is answered, and had asked nothing"
    );
    assert_eq!(wrong("[{:type :ok, :f :read, :value 1}]"), "1:2: an operation without :process");
    assert_eq!(
        wrong(&format!("[{map}\n {{:process é}}]")),
        "2:12: expected the number of a process, or a keyword, found `é`"
    );
    assert_eq!(
        wrong(&format!("[{map}\n {{:é 1, :type :okay}}]")),
        "2:15: expected :invoke, :ok, :fail or :info, found `:okay`"
    );
    assert_eq!(wrong("[{:process 0, :type :invoke, :f :fly, :value 1}]"), "1:33: the operation :fly is not known");
    assert_eq!(
        wrong(&format!("[{map}")),
        "1:51: expected the end of the vector of operations, found the end of the file"
    );
    assert_eq!(wrong("{:process 0, :value \"a}"), "1:21: expected a string that ends, found one that does not");
    assert_eq!(wrong("{:process 0, :value \"\\q\"}"), "1:22: expected an escape such as \\n, found `\\q`");
    for lone in ["\\ud800", "\\ud83d\\u0041", "\\udc41"] {
        let lone = wrong(&format!("{{:process 0, :value \"{lone}\"}}"));
        assert!(lone.starts_with("1:22: expected a character, or a pair of surrogates, found a lone"), "{lone}");
    }
    let two = "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 1, :type :invoke, :f :enqueue, :value 1}";
    assert!(wrong(two).starts_with("2:1: enqueue and read are operations of different things"));
    let cas = "INFO  jepsen.util - 0\t:invoke\t:cas\t5\n";
    assert_eq!(wrong(cas), "1:21: expected [expected new], found 5");
    let cut = "INFO  jepsen.util - 0\t:invoke\t:read\t\nINFO  jepsen.util - 1\t:invoke\t:read\tnil\n";
    assert_eq!(wrong(cut), "1:37: expected a value, found the end of the file");
    assert_eq!(wrong("1 2 3 4 w 5 6 0\n1 2 3 4 x 5 6 0\n"), "2:9: expected one of r, w, c, f, u, found `x`");
    assert_eq!(wrong("1 2 1 4 w 5 6 0\n"), "1:1: the operation returned before it was called");
    let append =
        "{\"client\":1,\"invoked\":1,\"returned\":2,\"f\":\"append\",\"values\":[1],\"outcome\":\"ok\",\"offset\":0}";
    assert!(wrong(&format!("{append}\n{append}\n")).starts_with("2:1: value c0-1 is appended twice"));
    assert_eq!(wrong("{\"client\":\n  x}"), "2:3: expected a whole number below 2^64, or null, found `x`");
    assert_eq!(
        wrong("{\"f\":\"tail\",\"outcome\":\"fine\"}"),
        "1:23: expected ok, failed, open, refused or unreadable, found \"fine\""
    );
    assert_eq!(wrong("{\"kraftbed_history\":2}"), "1:1: version 2 of JSON lines is not known");
    assert_eq!(wrong("{\"f\":\"tail\",\"outcome\":\"ok\",\"end\":1}"), "1:1: an operation without \"invoked\"");
    assert!(wrong("hello\nworld").ends_with("or JSON lines; found `hello`"));
    let long = format!("{{:process 0, :type :invoke, :f :write, :value \"{}\"}}", "\n".repeat(1000));
    let other = wrong(&format!("{long}\n{{:process 0, :type :ok, :f :write, :value 1}}"));
    assert!(other.ends_with("…, as was asked in line 1, or nil; found write 1") && other.len() < 300, "{other}");
    assert!(!other.contains('\n'), "{other}");
    let refused = "{\"client\":1,\"invoked\":1,\"returned\":2,\"f\":\"write\",\"value\":2,\"outcome\":\"refused\"}";
    assert_eq!(wrong(refused), "1:1: expected ok, failed, open or unreadable, found refused, of write");
    let deep = format!("{{:process 0, :value {}", "[".repeat(100_000));
    assert!(wrong(&deep).ends_with("more than 64 forms within each other"));
    assert!(wrong(&format!("[{}", "#_".repeat(100_000))).ends_with("more than 64 forms within each other"));
    let bytes = [&b"{:process 0, :type :invoke, :f :write, :value "[..], &[0xff, b'}']].concat();
    assert_eq!(import(&bytes, &Hints::default()).expect_err("no text").to_string(), "1:47: this is not UTF-8");
}

#[test]
fn what_is_no_file_is_refused_with_what_was_expected() {
    let refused = checked(&folder(), Hints::default()).expect_err("a folder is no history").to_string();
    assert!(refused.contains("directory") && refused.ends_with(": expected a file with a history"), "{refused}");
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let hints = Hints { model: Some(Model::Register), ..Hints::default() };
    let refused = checked(&folder().join("queue.edn"), hints).expect_err("a queue is no register");
    assert_eq!(refused.to_string(), "3:2: enqueue is no operation of a register");
    let hints = Hints { model: Some(Model::Queue), ..Hints::default() };
    let refused = checked(&folder().join("log.jsonl"), hints).expect_err("a log is no queue");
    assert_eq!(refused.to_string(), "1:1: append is no operation of a queue");
}

#[test]
fn whoever_runs_out_of_steps_is_undecided() {
    let path = folder().join("crashed_write.edn");
    let bytes = bytes_of(&path);
    // Values that repeat are decided by search alone.
    let mut text = String::from_utf8(bytes).expect("text");
    for process in 10..40 {
        text += &format!("{{:process {process}, :type :invoke, :f :write, :value {}}}\n", process % 3);
    }
    text += "{:process 1, :type :invoke, :f :read}\n{:process 1, :type :ok, :f :read, :value 0}\n";
    let hard = Options { steps_max: 1, ..options(Hints::default()) };
    let verdict = check(text.as_bytes(), &hard, &|_, _| ()).expect("a history").verdict;
    // The reads of nil say nothing.
    assert_eq!(verdict, Verdict::Undecided { why: "steps exhausted on 34 operations".to_owned() });
}

/// Cut anywhere, or with any bit turned, a file is a history or a mistake, and never the end of the program.
#[test]
fn no_file_makes_an_importer_panic() {
    let mut prng = Prng::new(11, 0);
    let (mut mistakes, mut histories) = (0, 0);
    for path in fixtures() {
        let bytes = bytes_of(&path);
        let mut judge = |bytes: &[u8]| {
            let few = Options { steps_max: 1_000, jobs: 1, ..options(Hints::default()) };
            match check(bytes, &few, &|_, _| ()) {
                Ok(_) => histories += 1,
                Err(_) => mistakes += 1,
            }
        };
        (0..bytes.len()).for_each(|end| judge(&bytes[..end]));
        for _ in 0..1_000 {
            let mut bent = bytes.clone();
            for _ in 0..=prng.range(0..3) {
                let at = prng.range(0..bent.len() as u64) as usize;
                bent[at] ^= 1 << prng.range(0..8);
            }
            judge(&bent);
        }
        for format in Format::ALL {
            let _ = import(&bytes, &Hints { format: Some(format), ..Hints::default() });
        }
    }
    assert!(mistakes > 1_000 && histories > 1_000, "{mistakes} mistakes, {histories} histories");
}

/// The collection of recorded histories is not part of the repository: `KRAFTBED_CORPUS` names its folder, or it lies beside it.
#[test]
fn recorded_histories_have_their_known_verdicts() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/histories");
    let corpus = std::env::var_os("KRAFTBED_CORPUS").map_or(beside, PathBuf::from);
    let Ok(table) = fs::read_to_string(corpus.join("README.md")) else {
        // Not through `eprintln!`, which a test that passes keeps to itself.
        let why =
            format!("SKIPPED: no recorded histories at {}; KRAFTBED_CORPUS names their folder\n", corpus.display());
        std::io::stderr().write_all(why.as_bytes()).expect("a terminal, or a file");
        return;
    };
    let mut count = 0;
    for row in table.lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, file, _, _, _, verdict, operations, _] = cells[..] else { continue };
        let is_legal = match verdict {
            _ if verdict.starts_with("NOT linearizable") => false,
            "linearizable" => true,
            _ => continue,
        };
        let checked = checked(&corpus.join(file), Hints::default()).unwrap_or_else(|error| panic!("{file}:{error}"));
        let expected = operations.split(' ').next().and_then(|count| count.parse().ok());
        assert_eq!(Some(checked.operations), expected, "operations of {file}");
        match checked.verdict {
            Verdict::Linearizable => assert!(is_legal, "{file} is linearizable"),
            Verdict::NotLinearizable { message, core, orders } => {
                let is_object = !checked.models.iter().any(|model| matches!(model, Model::Log | Model::Producer));
                let is_small = core.len() < 12;
                assert!(!orders.is_empty() || !is_object || !is_small, "{file}: nobody says why: {message}");
                assert!(!is_legal, "{file}: {message}");
                assert!(!core.is_empty(), "{file} has no core: {message}");
            }
            Verdict::Undecided { why } => panic!("{file}: {why}"),
        }
        count += 1;
    }
    assert!(count > 180, "{count} rows in the table of {}", corpus.display());
}

/// What the fixtures come to.
const VERDICTS: &str = "verdicts.txt";

/// How histories are written.
const PAGE: &str = "README.md";

/// A map cannot hold a key twice, nor a set an element: Clojure's reader refuses them, and so does this one.
#[test]
fn what_is_there_twice_is_refused_at_its_second_place() {
    let wrong = |text: &str| import(text.as_bytes(), &Hints::default()).expect_err(text).to_string();
    let write = |value: &str| format!("{{:process 0, :type :invoke, :f :write,\n :value {value}}}");
    assert_eq!(wrong(&write("{:a 1 :b 2 :a 3}")), "2:20: the key :a is twice in the map");
    assert_eq!(wrong(&write("{1 1, #{2 3} 4, 1N 2}")), "2:25: the key 1 is twice in the map");
    assert_eq!(wrong(&write("#{1 2 +1}")), "2:15: 1 is twice in the set");
    assert_eq!(wrong(&write("{:a 1 :b}")), "2:17: expected a value for the last key of the map, found `}`");
    assert_eq!(wrong(&write("##inf")), "2:9: expected ##Inf, ##-Inf or ##NaN, found `##inf`");
    assert_eq!(wrong("{:process 0, :type :ok, :process 0}"), "1:25: the key :process is twice in the map");
    assert_eq!(wrong("{:process 0, :é 1,\n :é 1}"), "2:2: the key :é is twice in the map");
    assert_eq!(wrong("{\"client\":1,\"f\":\"tail\",\"client\":1}"), "1:24: the key \"client\" is twice in the line");
    let put = "{\"client\":1,\"invoked\":1,\"f\":\"put\",\"value\":\n{\"a\":1,\"b\":2,\"a\":1}}";
    assert_eq!(wrong(put), "2:14: the key a is twice in the map");
}

/// What was acknowledged is what was asked for; whoever acknowledges something else has written something else, or a wrong file.
#[test]
fn an_acknowledgement_of_another_value_names_both_lines() {
    let wrong = |text: &str| import(text.as_bytes(), &Hints::default()).map(|_| ()).map_err(|error| error.to_string());
    let both = |f: &str, asked: &str, kind: &str, answered: &str| {
        wrong(&format!(
            "{{:process 7, :type :invoke, :f :{f}, :value {asked}}}\n{{:process 7, :type :{kind}, :f :{f}, :value {answered}}}\n"
        ))
    };
    let told = |text: &str| Err(format!("2:1: expected {text}"));
    assert_eq!(both("write", "1", "ok", "2"), told("write 1, as was asked in line 1, or nil; found write 2"));
    assert_eq!(both("cas", "[1 2]", "ok", "[1 3]"), told("cas [1 2], as was asked in line 1, or nil; found cas [1 3]"));
    assert_eq!(
        both("write", "[5 1]", "ok", "[6 1]"),
        told("write [5 1], as was asked in line 1, or nil; found write [6 1]")
    );
    assert_eq!(
        both("read", "[\"x\" nil]", "ok", "[\"y\" 1]"),
        told("read [x nil], as was asked in line 1, or nil; found read [y 1]")
    );
    assert_eq!(both("enqueue", "{:a 1, :b 2}", "ok", "{:b 2, :a 1}"), Ok(()));
    assert_eq!(both("write", "1", "ok", "nil"), Ok(()));
    assert_eq!(both("write", "1", "info", ":timed-out"), Ok(()));
    assert_eq!(both("cas", "[1 2]", "fail", "3"), Ok(()));
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:ok\t:write\t2\n";
    assert_eq!(wrong(log), Err("2:21: expected write 1, as was asked in line 1, or nil; found write 2".to_owned()));
}

/// The first value is read as all others are.
#[test]
fn what_a_register_holds_at_first_is_a_value() {
    let verdict = |initial: &str, read: &str| {
        let text =
            format!("{{:process 0, :type :invoke, :f :read}}\n{{:process 0, :type :ok, :f :read, :value {read}}}\n");
        let hints = Hints { initial: Some(initial.to_owned()), ..Hints::default() };
        check(text.as_bytes(), &options(hints), &|_, _| ()).map(|checked| checked.verdict)
    };
    for (initial, read) in
        [("1.00", "1.0"), ("\"a\"", "\"a\""), ("a", "\"a\""), ("{:b 2 :a 1}", "{:a 1, :b 2}"), ("+1", "1")]
    {
        assert_eq!(verdict(initial, read).expect("a history"), Verdict::Linearizable, "{initial} and {read}");
    }
    assert!(matches!(verdict("\"1\"", "1"), Ok(Verdict::NotLinearizable { .. })));
    for initial in ["", "1 2", "[1", "}"] {
        let refused = verdict(initial, "1").expect_err(initial).to_string();
        assert!(refused.starts_with("1:1: --initial: expected one value"), "{refused}");
        assert!(refused.ends_with(&format!("found `{initial}`")), "{refused}");
    }
}

/// Some editors put a mark before the first byte.
#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    for path in fixtures() {
        let bytes = bytes_of(&path);
        let judge = |bytes: &[u8]| check(bytes, &options(Hints::default()), &|_, _| ()).map(|checked| checked.verdict);
        let marked = judge(&[b"\xef\xbb\xbf", &bytes[..]].concat());
        assert_eq!(marked.ok(), judge(&bytes).ok(), "{}", path.display());
    }
    let wrong = import("\u{feff}[:x]".as_bytes(), &Hints::default()).expect_err("no operation").to_string();
    assert!(wrong.starts_with("1:2: "), "{wrong}");
}

/// Bytes are counted, so that the same bound ends at the same place; and nothing is read that it does not allow.
#[test]
fn reading_ends_where_memory_or_time_does() {
    let verdict = |bytes: &[u8], options: &Options| check(bytes, options, &|_, _| ()).expect("a history").verdict;
    for path in fixtures() {
        let (name, bytes) = (path.display(), bytes_of(&path));
        let small = |bytes_max: u64| Options { bytes_max, ..options(Hints::default()) };
        let (mut least, mut most) = (0, 1 << 20);
        while least + 1 < most {
            let half = (least + most) / 2;
            match verdict(&bytes, &small(half)) {
                Verdict::Undecided { why } => {
                    assert!(why.starts_with("memory exhausted"), "{name}: {why}");
                    least = half;
                }
                _ => most = half,
            }
        }
        assert!(most > bytes.len() as u64, "{name}: {most} bytes do for a text of {}", bytes.len());
        assert_eq!(verdict(&bytes, &small(bytes.len() as u64 / 2)), verdict(&bytes, &small(bytes.len() as u64 / 2)));
        let at_once = Options { time_max: Some(std::time::Duration::ZERO), ..options(Hints::default()) };
        let Verdict::Undecided { why } = verdict(&bytes, &at_once) else { panic!("{name}: no time is not enough") };
        assert!(why.starts_with("time exhausted in reading, at line "), "{name}: {why}");
    }
    let line = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n";
    let text = line.repeat(10_000);
    let enough = Options { bytes_max: text.len() as u64 + 100_000, ..options(Hints::default()) };
    assert_eq!(
        verdict(text.as_bytes(), &enough),
        Verdict::Undecided { why: "memory exhausted in reading, at line 1316".to_owned() }
    );
    // A value alone may be too large.
    let wide = format!("{{:process 0, :type :invoke, :f :write, :value [{}]}}", "1 ".repeat(100_000));
    let enough = Options { bytes_max: wide.len() as u64 + 100_000, ..options(Hints::default()) };
    assert_eq!(
        verdict(wide.as_bytes(), &enough),
        Verdict::Undecided { why: "memory exhausted in reading, at line 1".to_owned() }
    );
}

/// An operation that nobody answered can be explained by anything.
#[test]
fn only_answers_can_be_checked() {
    let answers = |text: &str| {
        let hints = Hints { format: text.is_empty().then_some(Format::Edn), ..Hints::default() };
        check(text.as_bytes(), &options(hints), &|_, _| ()).expect("a history").answers
    };
    let invoke = "{:process 0, :type :invoke, :f :write, :value 1}\n";
    assert_eq!(answers(""), 0);
    assert_eq!(answers(invoke), 0);
    assert_eq!(answers(&format!("{invoke}{{:process 0, :type :info, :f :write, :value 1}}")), 0);
    assert_eq!(answers(&format!("{invoke}{{:process 0, :type :fail, :f :write, :value 1}}")), 0);
    assert_eq!(answers(&format!("{invoke}{{:process 0, :type :ok, :f :write, :value 1}}")), 1);
    assert_eq!(answers("{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read, :value nil}"), 0);
    assert_eq!(answers("{\"kraftbed_history\":1}\n"), 0);
    let log = "{\"client\":1,\"invoked\":1,\"returned\":2,\"f\":\"tail\",\"outcome\":";
    assert_eq!(answers(&format!("{log}\"open\"}}")), 0);
    assert_eq!(answers(&format!("{log}\"ok\",\"end\":0}}")), 1);
    // What was done by key stands in the log as well, and counts once.
    let put = "{\"client\":1,\"invoked\":1,\"returned\":2,\"f\":\"put\",\"key\":1,\"value\":1,\"outcome\":\"ok\",\"offset\":0}";
    assert_eq!(answers(&format!("{put}\n{log}\"ok\",\"end\":1}}")), 2);
}

/// Values that are equal in EDN are one value, however they are spelled; and offsets that cannot be are no unknown ones.
#[test]
fn equal_values_are_one_and_impossible_offsets_are_refused() {
    let history = |written: &str, read: &str| {
        format!(
            "{{:process 0, :type :invoke, :f :write, :value {written}}}\n{{:process 0, :type :ok, :f :write, :value {written}}}\n\
             {{:process 0, :type :invoke, :f :read, :value nil}}\n{{:process 0, :type :ok, :f :read, :value {read}}}\n"
        )
    };
    let options = Options { hints: Hints::default(), time_max: None, bytes_max: 1 << 20, steps_max: 1000, jobs: 1 };
    let verdict = |text: &str| check(text.as_bytes(), &options, &|_, _| ()).map(|checked| checked.verdict);
    let equal = [
        ("#{1 2}", "#{2 1}"),
        ("#{[1 2] #{3}}", "#{#{3} (1 2)}"),
        ("1", "+1"),
        ("-0", "0"),
        ("7", "7N"),
        ("1.0", "1.00"),
        ("{:a 1, :b [2.0]}", "{:b [2.00] :a 1N}"),
        ("{{1 #{1 2}} \"x\"}", "{{1 #{2 1}} \"x\"}"),
        ("##Inf", "##Inf"),
        ("##NaN", "##NaN"),
        ("[1 #_2 3]", "(1, ; two\n 3)"),
        ("\\(", "\\("),
    ];
    for (written, read) in equal {
        let verdict = verdict(&history(written, read)).expect("a history");
        assert_eq!(verdict, Verdict::Linearizable, "{written} and {read}");
    }
    let unequal = [
        ("1", "2"),
        ("1", "1.0"),
        ("#{1 2}", "[1 2]"),
        ("[\"a b\"]", "[\"a\" \"b\"]"),
        ("{:a 1}", "{:a \"1\"}"),
        ("{:a 1, :b 2}", "{:a 2, :b 1}"),
        ("{:a 1}", "[:a 1]"),
        ("##Inf", "##-Inf"),
        ("\\(", "\\)"),
    ];
    for (written, read) in unequal {
        let different = verdict(&history(written, read)).expect("a history");
        assert!(matches!(different, Verdict::NotLinearizable { .. }), "{written} and {read}: {different:?}");
    }
    let refused = verdict("0 0 1 a 7 -1 0 0\n1 2 3 t 0 0 0 0\n").expect_err("no log has offset -1");
    assert!(refused.to_string().contains("expected an offset, found -1"), "{refused}");
}
