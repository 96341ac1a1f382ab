//! README's commands are true: those that take no minutes are run as written, with the built program.

use crate::program::{Desk, ROOT};

/// What README types after `kraftbed`, or after `cargo run --release --`.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(format!("{ROOT}/README.md")).expect("there is a README");
    let typed = readme.lines().filter_map(|line| line.strip_prefix("$ "));
    let words = typed.filter_map(|line| {
        line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("target/release/kraftbed "))
    });
    words.map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_readme_end_as_it_says() {
    let commands = commands();
    let named = |verb: &str| commands.iter().filter(|command| command.starts_with(verb)).count();
    assert!(named("sweep") >= 2 && named("run") >= 1 && named("serve") >= 3 && named("list") >= 1, "{commands:#?}");
    let desk = Desk::new("readme");
    let histories = std::os::unix::fs::symlink(format!("{ROOT}/tests"), desk.folder.join("tests"));
    histories.expect("a link can be made");
    for command in &commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let code = if command.contains("--plant ") { 1 } else { 0 };
        match words[0] {
            // The sweep of a minute and more is the gate's; here the same sweep is cut to its first runs.
            "sweep" => {
                let short = command.replace("--seeds 1000", "--seeds 38");
                let words: Vec<&str> = short.split_whitespace().collect();
                let answer = desk.call(&words);
                assert_eq!(answer.code, code, "{short}");
                if short == *command {
                    is_quoted(command, &answer.stdout);
                }
            }
            // Of a run that the sweep above has kept.
            "report" => assert_eq!(desk.call(&words).code, 0, "{command}"),
            "run" | "list" => assert_eq!(desk.call(&words).code, code, "{command}"),
            "check" => {
                let answer = desk.call(&words);
                assert_eq!(answer.code, 1, "{command}");
                is_quoted_but(command, &answer.stdout, &[" ms; ", " operations in "]);
            }
            // Real ports are for tests/server.rs and tests/clients.rs; here only the files are looked for.
            "serve" => assert!(desk.folder.join(words[1]).is_file(), "{command}"),
            verb => panic!("README calls `{verb}`: say here how to check it"),
        }
    }
}

/// What README shows of a command's output is what the command says, but for how long it took and how the program is called.
fn is_quoted(command: &str, said: &str) {
    let shown = is_quoted_but(command, said, &[" per CPU-second", "replay: "]);
    assert!(shown > 10, "README shows what `{command}` says");
}

/// How many lines README shows of a command's output; those that contain one of `times` may differ.
fn is_quoted_but(command: &str, said: &str, times: &[&str]) -> usize {
    let readme = std::fs::read_to_string(format!("{ROOT}/README.md")).expect("there is a README");
    let shown = readme.split(&format!("{command}\n")).nth(1).and_then(|rest| rest.split("```").next());
    let shown: Vec<&str> = shown.expect("the command is in a block").lines().collect();
    let may_differ = |line: &&&str| times.iter().any(|time| line.contains(time));
    for line in shown.iter().filter(|line| !may_differ(line)) {
        assert!(said.lines().any(|told| told.trim_end() == *line), "README shows {line:?}; `{command}` says\n{said}");
    }
    shown.len()
}
