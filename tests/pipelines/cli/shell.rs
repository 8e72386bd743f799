//! Completions and manual pages.

use std::fs;
use std::path::Path;

use crate::support::program::Program;
use crate::support::text;

#[test]
fn bash_completes_commands_and_options() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("completions");
    fs::write(&script, Program::tool(&["completions", "bash"]).succeed().stdout()).unwrap();
    let complete = |line: &str, wanted: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (at, word) = (words.len() - 1, words.last().unwrap());
        let command = format!(
            "source {}; COMP_WORDS=({line}); COMP_CWORD={at}; _pipeline__server pipeline-server '{word}' {}; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            text(&script),
            words[at - 1]
        );
        let ended = Program::new(Path::new("bash")).args(&["-c", &command]).succeed();
        assert!(ended.lines.iter().any(|l| l.text == wanted), "{line}: {ended:#?}");
    };
    complete("pipeline-server tr", "transcribe");
    complete("pipeline-server serve --max-s", "--max-sessions");
    complete("pipeline-server models v", "verify");
    complete("pipeline-server serve --partials al", "align-att");
}

#[test]
fn other_shells_get_a_script_too() {
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = Program::tool(&["completions", shell]).succeed().stdout();
        assert!(script.contains("transcribe") && script.contains("max-sessions"), "{shell}: {script}");
    }
    assert_eq!(Program::tool(&["completions", "dos"]).run().code, Some(2));
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    Program::tool(&["man", text(&pages)]).succeed();
    let page = |name: &str| fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("pipeline-server.1").contains(".TH pipeline-server"));
    for command in ["transcribe", "serve", "config-check", "models-pull", "new-key"] {
        assert!(page(&format!("pipeline-server-{command}.1")).contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(page("pipeline-server-serve.1").contains("max\\-sessions"));

    let ended = Program::tool(&["man", "/dev/null/man1"]).run();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("/dev/null/man1"), "{ended:#?}");
}
