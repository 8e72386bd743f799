//! Which span belongs to which: random numbers, and the header with which a client names its own span.

use axum::http::HeaderMap;
use uuid::Uuid;

/// The header's name.
const HEADER: &str = "traceparent";

/// The span that a client named: `traceparent` of W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    trace: u128,
    span: u64,
}

impl Parent {
    /// What a request says, if it does.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::from_header(headers.get(HEADER)?.to_str().ok()?)
    }

    /// Reads the header; none if it is not one, or the client does not record its trace.
    pub(super) fn from_header(header: &str) -> Option<Self> {
        let mut fields = header.trim().split('-');
        let mut field = |digits: usize| {
            let text = fields.next()?;
            let lower = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            (text.len() == digits && lower).then_some(text)
        };
        let version = field(2)?;
        let trace = u128::from_str_radix(field(32)?, 16).ok()?;
        let span = u64::from_str_radix(field(16)?, 16).ok()?;
        let flags = u8::from_str_radix(field(2)?, 16).ok()?;
        // Later versions may have more fields behind these.
        let ends = version != "00" || fields.next().is_none();
        let recorded = flags & 1 == 1;
        (version != "ff" && ends && recorded && trace != 0 && span != 0).then_some(Self { trace, span })
    }
}

/// A span's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) parent: Option<u64>,
}

impl Context {
    /// A new span, in the client's trace or one of its own.
    pub(crate) fn new(parent: Option<Parent>) -> Self {
        match parent {
            Some(Parent { trace, span }) => Self { trace, span: number(), parent: Some(span) },
            None => Self { trace: Uuid::new_v4().as_u128(), span: number(), parent: None },
        }
    }

    /// A new span within this one.
    pub(crate) fn child(self) -> Self {
        Self { trace: self.trace, span: number(), parent: Some(self.span) }
    }
}

/// A random number that is not 0: the lower half of a UUID has a bit that is always set.
fn number() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_clients_span() {
        let parent = Parent::from_header("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let context = Context::new(Some(parent));
        assert_eq!(context.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.parent, Some(0x00f0_67aa_0ba9_02b7));
        let child = context.child();
        assert_eq!((child.trace, child.parent), (context.trace, Some(context.span)));
        assert!(child.span != context.span && Context::new(None).trace != Context::new(None).trace);
    }

    #[test]
    fn what_is_no_such_header_is_left_out() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for header in [
            "",
            "00",
            &format!("ff-{trace}-{span}-01"),
            &format!("00-{trace}-{span}-00"),
            &format!("00-{trace}-{span}-01-more"),
            &format!("00-{}-{span}-01", "0".repeat(32)),
            &format!("00-{trace}-{}-01", "0".repeat(16)),
            &format!("00-{}-{span}-01", trace.to_uppercase()),
            &format!("00-{trace}0-{span}-01"),
            &format!("00-+{}-{span}-01", &trace[1..]),
        ] {
            assert_eq!(Parent::from_header(header), None, "{header}");
        }
        assert!(Parent::from_header(&format!("01-{trace}-{span}-01-more")).is_some());
    }
}
