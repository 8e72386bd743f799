//! What came out of the element.

/// A buffer of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    pub text: String,
    /// Timestamp, seconds.
    pub start: f64,
    /// Timestamp and duration, seconds.
    pub end: f64,
    pub discont: bool,
}

/// Everything, in order of its kind.
#[derive(Debug, Default)]
pub struct Heard {
    pub texts: Vec<Text>,
    /// Element messages.
    pub messages: Vec<gst::Structure>,
    /// Custom downstream events.
    pub events: Vec<gst::Structure>,
    /// Gaps: from, to, in seconds.
    pub gaps: Vec<(f64, f64)>,
    pub segments: Vec<gst::FormattedSegment<gst::ClockTime>>,
    pub caps: Vec<gst::Caps>,
    /// Names of all events in order.
    pub order: Vec<String>,
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
    pub qos: usize,
    pub eos: bool,
    /// Codes of finished progress messages.
    pub progress: Vec<String>,
}

impl Heard {
    /// All text, joined by spaces.
    pub fn text(&self) -> String {
        self.texts.iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The element messages of this name, without the prefix.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a gst::Structure> {
        self.messages.iter().filter(move |s| s.name().strip_prefix("whispertranscribe/") == Some(name))
    }

    pub(super) fn message(&mut self, message: &gst::Message) {
        match message.view() {
            gst::MessageView::Element(m) => self.messages.extend(m.structure().map(|s| s.to_owned())),
            gst::MessageView::Error(e) => self.errors.push(format!("{} ({:?})", e.error(), e.debug())),
            gst::MessageView::Warning(w) => self.warnings.push(w.error().to_string()),
            gst::MessageView::Qos(_) => self.qos += 1,
            gst::MessageView::Progress(p) => {
                let (kind, code, _) = p.get();
                self.progress.push(format!("{code}: {kind:?}"));
            }
            _ => {}
        }
    }

    pub(super) fn event(&mut self, event: gst::Event) {
        self.order.push(format!("{:?}", event.type_()));
        match event.view() {
            gst::EventView::Gap(gap) => {
                let (start, length) = gap.get();
                self.gaps.push((seconds(start), seconds(start + length.unwrap())));
            }
            gst::EventView::Segment(segment) => {
                self.segments.push(segment.segment().downcast_ref::<gst::ClockTime>().unwrap().clone());
            }
            gst::EventView::Caps(caps) => self.caps.push(caps.caps_owned()),
            gst::EventView::CustomDownstream(custom) => self.events.extend(custom.structure().map(|s| s.to_owned())),
            gst::EventView::Eos(_) => self.eos = true,
            _ => {}
        }
    }

    pub(super) fn buffer(&mut self, buffer: &gst::Buffer) {
        let map = buffer.map_readable().unwrap();
        self.texts.push(Text {
            text: String::from_utf8(map.to_vec()).unwrap(),
            start: seconds(buffer.pts().unwrap()),
            end: seconds(buffer.pts().unwrap() + buffer.duration().unwrap()),
            discont: buffer.flags().contains(gst::BufferFlags::DISCONT),
        });
    }
}

/// A clock time in seconds.
pub fn seconds(time: gst::ClockTime) -> f64 {
    time.nseconds() as f64 / 1e9
}

/// The field as seconds.
pub fn field(structure: &gst::Structure, name: &str) -> f64 {
    structure.get::<u64>(name).unwrap() as f64 / 1e9
}
