//! What all launch lines have in common.

use std::fs;

use crate::support::program::Program;
use crate::support::workspace;

fn names() -> Vec<String> {
    let folder = fs::read_dir(workspace().join("pipelines")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".sh")).collect();
    names.sort();
    names
}

#[test]
fn each_is_in_the_table_and_begins_with_its_usage() {
    let table = fs::read_to_string(workspace().join("pipelines/README.md")).unwrap();
    assert!(names().len() >= 7);
    for name in names() {
        assert!(table.contains(&format!("[`{name}`]({name})")), "{name} is not in the table");
        let script = fs::read_to_string(workspace().join("pipelines").join(&name)).unwrap();
        assert!(script.contains(&format!("\n#   pipelines/{name}")), "{name} has no usage");
    }
}

#[test]
fn wrong_arguments_are_answered_with_the_usage() {
    for name in names() {
        let ended = Program::script(&name).args(&["a", "b", "c", "d"]).run();
        assert_eq!(ended.code, Some(2), "{name}: {ended:#?}");
        assert!(ended.stderr.starts_with("usage: ") && ended.stderr.contains(&name), "{name}: {ended:#?}");
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    for name in ["file-to-srt.sh", "file-to-webvtt.sh", "file-to-jsonl.sh", "burned-in-captions.sh"] {
        let ended = Program::script(name).args(&["/no/such/file", output.to_str().unwrap()]).run();
        assert_ne!(ended.code, Some(0), "{name}: {ended:#?}");
        assert!(ended.stderr.contains("/no/such/file"), "{name}: {ended:#?}");
    }
}
