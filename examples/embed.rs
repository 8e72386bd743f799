//! The element inside a program of your own: registered statically, so that no plugin file has to be found, and read
//! from the bus, where partials and finals arrive as messages.
//!
//! ```sh
//! cargo run --release -p gst-plugin-whispertranscribe --example embed -- tests/data/speech/jfk-inaugural.flac
//! ```

use std::error::Error;

use gst::prelude::*;
use gst::MessageView;
use transcribe_core::transcript::Event;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a file, such as tests/data/speech/jfk-inaugural.flac")?;
    gst::init()?;
    gstwhispertranscribe::plugin_register_static()?;

    // At the pace of speech. Without clocksync it runs as fast as it can, and there is hardly time for partials.
    let pipeline = gst::parse::launch("filesrc name=source ! decodebin ! clocksync ! whispertranscribe ! fakesink")?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "the launch line makes no pipeline")?;
    let source = pipeline.by_name("source").ok_or("the pipeline has no source")?;
    source.set_property("location", &path);
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;

    let result = match pipeline.set_state(gst::State::Playing) {
        Ok(_) => listen(&bus),
        // The element that refused has said why on the bus.
        Err(error) => Err(reason(&bus).unwrap_or_else(|| error.into())),
    };
    let _ = pipeline.set_state(gst::State::Null);
    result
}

/// Prints what is said until the file ends or something breaks.
fn listen(bus: &gst::Bus) -> Result<(), Box<dyn Error>> {
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            MessageView::Eos(_) => break,
            MessageView::Error(error) => return Err(error.error().message().into()),
            MessageView::Element(element) => {
                if let Some(event) = element.structure().and_then(event) {
                    show(&event);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The error that is on the bus already, if any.
fn reason(bus: &gst::Bus) -> Option<Box<dyn Error>> {
    bus.iter().find_map(|message| match message.view() {
        MessageView::Error(error) => Some(error.error().message().into()),
        _ => None,
    })
}

/// What one of the element's messages tells. Its field `json` holds all of it, with times in seconds of stream time.
fn event(structure: &gst::StructureRef) -> Option<Event> {
    if !structure.name().starts_with("whispertranscribe/") {
        return None;
    }
    serde_json::from_str(structure.get::<&str>("json").ok()?).ok()
}

fn show(event: &Event) {
    match event {
        Event::Partial(partial) => println!("... {}", partial.text),
        Event::Final(last) if !last.text.is_empty() => {
            println!("[{:.2} - {:.2}] {}", last.start, last.end, last.text);
        }
        _ => {}
    }
}
