//! Values for the element's properties, checked against what the element says it takes: a wrong one is an error that
//! tells what is right, and ranges stand in one place only.

use gst::glib;
use gst::prelude::*;

/// A value that the property does not take, or a property that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub(crate) struct Refused {
    /// The property.
    pub(crate) name: String,
    /// What is wrong and what would be right.
    pub(crate) reason: String,
}

/// A value for one of the element's properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// For a string.
    Text(String),
    /// For an unsigned integer.
    Number(u32),
    /// For an enumeration, by nick.
    Nick(String),
    /// For a boolean.
    Switch(bool),
}

impl Setting {
    /// For an enumeration.
    pub(crate) fn nick(nick: &str) -> Self {
        Self::Nick(nick.to_owned())
    }

    /// Sets the property `name` of `element`.
    pub(crate) fn apply(&self, element: &gst::Element, name: &str) -> Result<(), Refused> {
        let refused = |reason: String| Refused { name: name.to_owned(), reason };
        let spec = element.find_property(name).ok_or_else(|| refused("the element has no such property".into()))?;
        let value = match self {
            Self::Text(text) => text.to_value(),
            Self::Number(number) => {
                if let Some(spec) = spec.downcast_ref::<glib::ParamSpecUInt>() {
                    let (least, most) = (spec.minimum(), spec.maximum());
                    if !(least..=most).contains(number) {
                        return Err(refused(format!("{number} is not from {least} to {most}")));
                    }
                }
                number.to_value()
            }
            Self::Switch(on) => on.to_value(),
            Self::Nick(nick) => {
                let class = glib::EnumClass::with_type(spec.value_type())
                    .ok_or_else(|| refused("the property takes no name".into()))?;
                class.to_value_by_nick(nick).ok_or_else(|| {
                    let known: Vec<&str> = class.values().iter().map(|value| value.nick()).collect();
                    refused(format!("'{nick}' is not one of {}", known.join(", ")))
                })?
            }
        };
        if value.type_() != spec.value_type() {
            return Err(refused(format!("the property is a {}", spec.value_type())));
        }
        element.set_property_from_value(name, &value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> gst::Element {
        gst::init().unwrap();
        gst::ElementFactory::make("queue").build().unwrap()
    }

    #[test]
    fn values_arrive() {
        let queue = queue();
        Setting::Number(7).apply(&queue, "max-size-buffers").unwrap();
        Setting::nick("downstream").apply(&queue, "leaky").unwrap();
        Setting::Text("q".into()).apply(&queue, "name").unwrap();
        Setting::Switch(true).apply(&queue, "silent").unwrap();
        assert!(queue.property::<bool>("silent"));
        assert_eq!(queue.property::<u32>("max-size-buffers"), 7);
        assert_eq!(queue.property_value("leaky").serialize().unwrap(), "downstream");
        assert_eq!(queue.name(), "q");
    }

    #[test]
    fn a_wrong_one_is_refused_with_what_is_right() {
        let queue = queue();
        let refused = |setting: Setting, name| setting.apply(&queue, name).unwrap_err().to_string();
        assert_eq!(refused(Setting::nick("?"), "leaky"), "leaky: '?' is not one of no, upstream, downstream");
        assert_eq!(refused(Setting::Number(1), "min-threshold-time"), "min-threshold-time: the property is a guint64");
        assert_eq!(refused(Setting::nick("?"), "silent"), "silent: the property takes no name");
        assert!(refused(Setting::Number(1), "nothing").contains("no such property"));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        gst::init().unwrap();
        gstwhispertranscribe::plugin_register_static().unwrap();
        let element = gst::ElementFactory::make("whispertranscribe").build().unwrap();
        let refusal = Setting::Number(99).apply(&element, "beam-size").unwrap_err().to_string();
        assert!(refusal.starts_with("beam-size: 99 is not from 1 to "), "{refusal}");
    }
}
