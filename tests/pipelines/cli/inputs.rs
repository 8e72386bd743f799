//! Where the sound can come from.

use e2e_tests::clips::named;

use crate::support::media::{encoded, film, two_sentences, wav};
use crate::support::program::Program;
use crate::support::subtitles::srt;
use crate::support::truth::{cues_are_right, words_are_right};
use crate::support::{recording, text};

#[test]
fn wav_flac_and_mp3_come_through_a_pipe() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let wav = wav(folder.path(), &signal);
    let flac = encoded(&wav, &["flacenc"], "a.flac");
    let mp3 = encoded(&wav, &["audioresample", "!", "lamemp3enc", "target=bitrate", "bitrate=64"], "a.mp3");
    for path in [wav, flac, mp3] {
        let ended = Program::transcribe(&["-f", "srt", "-"]).stdin(&path).succeed();
        cues_are_right(&signal, &srt(&ended.stdout()));
    }
}

#[test]
fn a_film_is_heard_and_a_uri_is_followed() {
    let (folder, signal) = (tempfile::tempdir().unwrap(), two_sentences());
    let sound = wav(folder.path(), &signal);
    let film = film(folder.path(), "film.mkv", signal.seconds(), Some(&sound));
    let uri = format!("file://{}", text(&film));
    cues_are_right(&signal, &srt(&Program::transcribe(&["-f", "srt", &uri]).succeed().stdout()));
}

#[test]
fn several_inputs_follow_each_other_under_their_names() {
    let clips = [named("librivox-sense-0930"), named("librivox-sense-0890")];
    let paths = clips.map(|clip| recording(&clip.name));
    let shown = Program::transcribe(&[text(&paths[0]), text(&paths[1])]).succeed().stdout();
    let parts: Vec<&str> = shown.split("== ").collect();
    assert_eq!(parts.len(), 3, "{shown}");
    for ((part, path), clip) in parts[1..].iter().zip(&paths).zip(clips) {
        let (name, lines) = part.split_once('\n').unwrap();
        assert_eq!(name, text(path));
        let words: Vec<&str> = lines.lines().filter_map(|line| Some(line.split_once("] ")?.1)).collect();
        words_are_right(&clip.text, &words.join(" "));
    }
}
