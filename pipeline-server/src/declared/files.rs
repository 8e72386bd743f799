//! Captions of a source as files: SubRip and WebVTT with what was said lately, replaced as a whole with each final, and JSON
//! lines to which each final is added.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use transcribe_core::transcript::{Event, Final};
use utoipa::ToSchema;

use crate::outputs::{self, Format};
use crate::protocol::results::{FinalResult, Message};
use crate::session::log::Next;
use crate::session::Session;

/// Seconds that captions stay in SubRip and WebVTT files.
const WINDOW: f64 = 600.0;
/// Bytes of JSON lines from which on they go into a new file, and the one before is kept beside it.
const LARGE: u64 = 64 << 20;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileKind {
    /// SubRip, the last ten minutes.
    Srt,
    /// WebVTT, the last ten minutes.
    Vtt,
    /// An object a final, as in the event `final`; from 64 MiB on in a new file, with the one before beside it.
    Jsonl,
}

/// The files of a source.
#[derive(Clone)]
pub(super) struct Files {
    folder: PathBuf,
    name: String,
    kinds: Vec<FileKind>,
    recent: VecDeque<Final>,
}

impl Files {
    /// Named after the source, in that folder.
    pub(super) fn new(folder: &Path, name: &str, kinds: &[FileKind]) -> Self {
        Self { folder: folder.to_owned(), name: name.to_owned(), kinds: kinds.to_vec(), recent: VecDeque::new() }
    }

    /// Writes down what the session says until its end.
    pub(super) async fn follow(mut self, session: &Session) {
        if self.kinds.is_empty() {
            return;
        }
        let mut messages = session.log().subscribe(0);
        loop {
            let last = match messages.next().await {
                Next::Message(Message::Final(last)) if !last.result.text.trim().is_empty() => last,
                Next::Message(_) => continue,
                Next::End => return,
                Next::Lagged => {
                    tracing::error!(session = %session.id(), "captions are missing in files: the disk is too slow");
                    messages.skip_to_last(1);
                    continue;
                }
            };
            let (id, written) = (session.id(), tokio::task::spawn_blocking(move || (self.write(&last), self)));
            let Ok((written, back)) = written.await else { return };
            self = back;
            if let Err(error) = written {
                tracing::error!(session = %id, %error, "captions cannot be written");
            }
        }
    }

    fn write(&mut self, last: &FinalResult) -> io::Result<()> {
        self.recent.push_back(last.result.clone());
        while self.recent.front().is_some_and(|old| old.end < last.result.end - WINDOW) {
            self.recent.pop_front();
        }
        for kind in &self.kinds {
            match kind {
                FileKind::Srt => self.replace("srt", Format::Srt)?,
                FileKind::Vtt => self.replace("vtt", Format::Vtt)?,
                FileKind::Jsonl => self.append(last)?,
            }
        }
        Ok(())
    }

    fn replace(&self, ending: &str, format: Format) -> io::Result<()> {
        let mut draft = tempfile::Builder::new()
            .prefix(".captions-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(&self.folder)?;
        let mut output = outputs::recorded(format, false, false);
        let mut text = Vec::new();
        for last in &self.recent {
            output.event(&Event::Final(last.clone()), &mut text)?;
        }
        output.finish(None, &mut text)?;
        draft.write_all(&text)?;
        draft.persist(self.path(ending)).map_err(|error| error.error)?;
        Ok(())
    }

    fn append(&self, last: &FinalResult) -> io::Result<()> {
        let path = self.path("jsonl");
        if fs::metadata(&path).is_ok_and(|there| there.len() >= LARGE) {
            fs::rename(&path, self.path("1.jsonl"))?;
        }
        let mut line = serde_json::to_vec(last)?;
        line.push(b'\n');
        let mut file: File = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(&line)
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::results::Origin;

    fn said(seq: u64, start: f64, text: &str) -> FinalResult {
        let result = Final {
            utterance: seq,
            revision: 1,
            start,
            end: start + 1.0,
            text: text.into(),
            language: "en".into(),
            probability: 0.9,
            no_speech_probability: 0.1,
            forced: false,
            words: Vec::new(),
        };
        FinalResult { seq, origin: Origin::default(), result, full_transcript: None }
    }

    #[test]
    fn captions_roll_and_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path(), "door", &[FileKind::Srt, FileKind::Vtt, FileKind::Jsonl]);
        files.write(&said(1, 10.0, "One.")).unwrap();
        files.write(&said(2, 400.0, "Two.")).unwrap();
        files.write(&said(3, 700.0, "Three.")).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let vtt = read("door.vtt");
        assert_eq!(vtt, "WEBVTT\n\n00:06:40.000 --> 00:06:41.000\nTwo.\n\n00:11:40.000 --> 00:11:41.000\nThree.\n\n");
        assert!(read("door.srt").starts_with("1\n00:06:40,000 --> "));
        let lines = read("door.jsonl");
        let texts: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(texts, ["One.", "Two.", "Three."]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no drafts are left");
    }
}
