//! Answers in XML, read record by record in bounded memory. Elements are told apart by their local name and, where the
//! protocol has a namespace of its own, by that; prefixes mean nothing.

use quick_xml::NsReader;
use quick_xml::events::{BytesRef, Event};
use quick_xml::name::{Namespace, ResolveResult};

/// The deepest nesting that is read.
const DEPTH_LIMIT: usize = 16;
/// The most elements in one record, or beside all records.
const ELEMENTS_LIMIT: usize = 10_000;

/// An element with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    /// Its name, without a prefix.
    pub(crate) name: String,
    /// The text directly in it.
    pub(crate) text: String,
    /// The elements directly in it.
    pub(crate) children: Vec<Self>,
}

impl Element {
    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name, without blanks around it.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// Reads a document. Each child of its root that bears one of the names `records` is handed to `each`; what comes back is the
/// root with all other children. With a `namespace`, elements of others are passed over.
///
/// # Errors
///
/// What is wrong with the document, or what `each` says.
pub(crate) fn read(
    bytes: &[u8],
    namespace: Option<&str>,
    records: &[&str],
    each: &mut dyn FnMut(Element) -> Result<(), String>,
) -> Result<Element, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open: Vec<Element> = Vec::new();
    let (mut passed_over, mut elements) = (0_usize, 0);
    loop {
        let (found, event) = reader.read_resolved_event().map_err(|error| error.to_string())?;
        match event {
            Event::Start(_) | Event::Empty(_) if passed_over > 0 || !is_in(namespace, &found) => {
                passed_over += usize::from(matches!(event, Event::Start(_)));
            }
            Event::Start(start) => {
                elements += 1;
                if open.len() >= DEPTH_LIMIT || elements > ELEMENTS_LIMIT {
                    return Err("it has too many elements".to_owned());
                }
                open.push(named(start.local_name().as_ref()));
            }
            Event::Empty(start) => {
                elements += 1;
                let element = named(start.local_name().as_ref());
                match open.last_mut() {
                    None => return Ok(element),
                    Some(parent) => parent.children.push(element),
                }
            }
            Event::End(_) if passed_over > 0 => passed_over -= 1,
            Event::End(_) => {
                let Some(element) = open.pop() else { return Err("it ends too early".to_owned()) };
                let depth = open.len();
                match open.last_mut() {
                    None => return Ok(element),
                    Some(_) if depth == 1 && records.contains(&element.name.as_str()) => {
                        elements = 0;
                        each(element)?;
                    }
                    Some(parent) => parent.children.push(element),
                }
            }
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if passed_over > 0 => {}
            Event::Text(text) => add(&mut open, &text.xml10_content()),
            Event::CData(text) => add(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => add(&mut open, &resolve(&reference)?),
            Event::Eof => return Err("it is cut off".to_owned()),
            _ => {}
        }
    }
}

fn is_in(namespace: Option<&str>, found: &ResolveResult<'_>) -> bool {
    match (namespace, found) {
        (None, _) => true,
        (Some(wanted), ResolveResult::Bound(Namespace(found))) => *found == wanted,
        (Some(_), _) => false,
    }
}

fn named(name: &str) -> Element {
    Element { name: name.to_owned(), ..Element::default() }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character.to_string());
    }
    // The five that XML itself knows. Documents of servers declare no others, and nothing is expanded.
    let name: &str = reference;
    let known = [("lt", "<"), ("gt", ">"), ("amp", "&"), ("apos", "'"), ("quot", "\"")];
    let found = known.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    found.ok_or_else(|| "it uses an entity that it does not have".to_owned())
}

/// A text as it stands in an element.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(text: &str, namespace: Option<&str>, record: &str) -> Result<(Element, Vec<Element>), String> {
        let mut found = Vec::new();
        let root = read(text.as_bytes(), namespace, &[record], &mut |element| {
            found.push(element);
            Ok(())
        })?;
        Ok((root, found))
    }

    #[test]
    fn records_are_handed_out_and_the_rest_stays() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<R xmlns=\"http://x/\"><T>tr&#117;e</T><C><K>a &amp; b</K><S> 5 </S></C>\
                    <C><K><![CDATA[<c>]]></K></C><E/></R>";
        let (root, found) = records(text, None, "C").unwrap();
        assert_eq!(root.text_of("T"), Some("true"));
        assert_eq!(root.children.len(), 2);
        assert_eq!(found[0].text_of("K"), Some("a & b"));
        assert_eq!(found[0].text_of("S"), Some("5"));
        assert_eq!(found[1].text_of("K"), Some("<c>"));
    }

    #[test]
    fn another_namespace_is_passed_over_whatever_its_prefix() {
        let text = "<a:m xmlns:a='DAV:' xmlns:b='other'><b:r><a:h>no</a:h></b:r><r xmlns='DAV:'><h>yes<b:x>no</b:x></h></r>\
                    <b:r/></a:m>";
        let (_, found) = records(text, Some("DAV:"), "r").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text_of("h"), Some("yes"));
    }

    #[test]
    fn documents_that_are_cut_off_or_swollen_are_refused() {
        for text in ["", "<a>", "<a><b></a>", "no xml", "<a>&bomb;</a>", &"<a>".repeat(50), "<a></b>"] {
            assert!(records(text, None, "r").is_err(), "{text}");
        }
        let many = format!("<a>{}</a>", "<b></b>".repeat(ELEMENTS_LIMIT + 1));
        assert!(records(&many, None, "r").is_err());
        assert!(records(&many, None, "b").is_ok());
    }

    proptest! {
        #[test]
        fn every_text_survives(text in "[^\\x00-\\x1f\u{fffe}\u{ffff}]{0,40}") {
            let (root, _) = records(&format!("<a><b>{}</b></a>", escape(&text)), None, "r").unwrap();
            prop_assert_eq!(&root.child("b").unwrap().text, &text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, Some("DAV:"), &["r"], &mut |_| Ok(()));
        }
    }
}
