//! Whom a STUN request is for (RFC 8489): its USERNAME begins with the name that our answer gave to a peer. That finds the
//! peer of an address from which nothing came before, without asking all of them.

/// Bytes of the head.
const HEAD: usize = 20;
/// The second byte pair of every STUN message's head, behind its length.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// The attribute's number.
const USERNAME: u16 = 6;

/// Whether a datagram is STUN by its first byte (RFC 7983).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// The name of ours that a request is for; none in what is no request.
pub(super) fn addressee(datagram: &[u8]) -> Option<&str> {
    let (head, mut attributes) = datagram.split_at_checked(HEAD)?;
    // Class 0 is a request.
    let is_request = u16::from_be_bytes([head[0], head[1]]) & 0x0110 == 0;
    if !is_stun(datagram) || !is_request || head[4..8] != COOKIE {
        return None;
    }
    while let [a, b, c, d, rest @ ..] = attributes {
        let (kind, length) = (u16::from_be_bytes([*a, *b]), usize::from(u16::from_be_bytes([*c, *d])));
        if kind == USERNAME {
            let names = std::str::from_utf8(rest.get(..length)?).ok()?;
            return names.split_once(':').map(|(ours, _)| ours);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        message.extend([7; 12]);
        for (kind, value) in attributes {
            message.extend(kind.to_be_bytes());
            message.extend((value.len() as u16).to_be_bytes());
            message.extend(*value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        message
    }

    #[test]
    fn a_request_says_whom_it_is_for() {
        let told = request(&[(0x24, b"1234"), (0x8022, b"Chrome"), (USERNAME, b"ours:theirs")]);
        assert_eq!(addressee(&told), Some("ours"));
        let mut response = told.clone();
        response[0] = 1;
        assert_eq!(addressee(&response), None);
    }

    #[test]
    fn what_is_cut_or_something_else_is_for_nobody() {
        let whole = request(&[(USERNAME, b"ours:theirs")]);
        (0..whole.len() - 1).for_each(|length| assert_eq!(addressee(&whole[..length]), None, "{length}"));
        assert_eq!(addressee(&request(&[(USERNAME, b"nobody")])), None);
        assert_eq!(addressee(&request(&[(USERNAME, &[0xff, b':'])])), None);
        assert!(!is_stun(&[]) && !is_stun(&[22, 254]) && !is_stun(&[128, 111]));
    }
}
