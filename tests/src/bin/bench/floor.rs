//! What the encoder's shortened context does to accuracy and cost, on clean and on noisy speech.

use anyhow::Result;
use e2e_tests::audio::{babble, pink_noise};
use e2e_tests::clips::{all, Composition};

use crate::measure::{candidates, Run};
use crate::table::{head, heading, number, row};

/// Floor and margin in ms.
const POLICIES: [(&str, &str); 5] =
    [("7680", "4000"), ("10240", "0"), ("10240", "4000"), ("15360", "4000"), ("30000", "4000")];

pub(crate) fn measure(quick: bool) -> Result<()> {
    let clean = Composition::long();
    let recordings: Vec<&[f32]> = all().iter().map(|clip| clip.samples.as_slice()).collect();
    let crowd = babble(&recordings, 6, -25.0, 20.0, 1);
    let conditions = [
        ("clean", clean.clone()),
        ("pink noise at 10 dB", clean.clone().with_noise(&pink_noise(-30.0, 20.0, 1), 10.0)),
        ("babble at 10 dB", clean.with_noise(&crowd, 10.0)),
    ];
    heading("The context floor: word errors % and, in parentheses, CPU s per minute of audio");
    let candidates = candidates();
    let names = conditions.iter().map(|(name, _)| *name);
    head(&["model", "context-floor ms", "context-margin ms"].into_iter().chain(names).collect::<Vec<_>>());
    for candidate in candidates.iter().take(if quick { 1 } else { candidates.len() }) {
        let _model = candidate.load()?;
        for (floor, margin) in POLICIES {
            let properties =
                [("partials", "none"), ("threads", "1"), ("context-floor", floor), ("context-margin", margin)];
            let mut cells = vec![candidate.name.to_owned(), floor.to_owned(), margin.to_owned()];
            for (_, composition) in &conditions {
                let run = Run::of(&candidate.path, composition, &properties, false)?;
                cells.push(format!("{} ({})", number(run.errors(composition), 1), number(run.cpu_per_minute(), 2)));
            }
            row(&cells);
        }
    }
    println!(
        "\nFinals only, one thread. 30000 is Whisper's own context. What a guard refuses is decoded again at the full"
    );
    println!("context and costs accordingly.");
    Ok(())
}
