//! Keys in packets of their own (RFC 4733).

/// Finds out which packets belong to the same key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The RTP timestamp of the last key: all its packets have the same.
    last: Option<u32>,
}

impl Keys {
    /// The key, with the first packet that tells of it.
    pub(super) fn pressed(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        // Event, volume and so on, two bytes of duration.
        let [event, _, _, _, ..] = *payload else { return None };
        let digit = *b"0123456789*#ABCD".get(usize::from(event))?;
        (self.last.replace(timestamp) != Some(timestamp)).then(|| char::from(digit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_once_however_many_packets_it_has() {
        let mut keys = Keys::default();
        let packets =
            [(160, 1, 0), (160, 1, 0), (160, 1, 0x80), (160, 1, 0x80), (2000, 1, 0), (4000, 11, 0), (5000, 15, 0)];
        let pressed: Vec<_> = packets.map(|(at, event, flags)| keys.pressed(at, &[event, flags, 0, 160])).into();
        assert_eq!(pressed, [Some('1'), None, None, None, Some('1'), Some('#'), Some('D')]);
        assert_eq!(keys.pressed(6000, &[16, 0, 0, 0]), None, "a flash of the hook is no key");
        assert_eq!(keys.pressed(7000, &[1, 0]), None);
    }
}
